//! The authors' names of parameters, and ours.

/// Parameters of a coupling block, as FrEIA names them.
pub(super) const BLOCK: [&str; 8] = [
    "global_scale",
    "global_offset",
    "w_perm",
    "w_perm_inv",
    "subnet.0.weight",
    "subnet.0.bias",
    "subnet.2.weight",
    "subnet.2.bias",
];

/// Parameters of the prior: our name, and the authors' list with one a level.
pub(super) const PRIOR: [(&str, &str); 4] = [
    ("mu", "mus"),
    ("delta", "mu_deltas"),
    ("phi_inter", "phi_inters"),
    ("phi_intra", "phi_intras"),
];

/// The authors' list of flows.
pub(super) const FLOWS: &str = "nfs";

/// The authors' name of our `levels.L.flow.*` or `levels.L.prior.*`; `None` where their code has
/// no such parameter.
pub(super) fn published(ours: &str) -> Option<String> {
    let (level, rest) = ours.strip_prefix("levels.")?.split_once('.')?;
    if let Some(name) = rest.strip_prefix("prior.") {
        let (_, list) = PRIOR.iter().find(|(own, _)| *own == name)?;
        return Some(format!("{list}.{level}"));
    }
    let name = rest.strip_prefix("flow.")?;
    let (_, leaf) = name.strip_prefix("module_list.")?.split_once('.')?;
    BLOCK.contains(&leaf).then(|| format!("{FLOWS}.{level}.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_become_theirs() {
        for (ours, theirs) in [
            (
                "levels.0.flow.module_list.11.subnet.0.weight",
                Some("nfs.0.module_list.11.subnet.0.weight"),
            ),
            ("levels.2.prior.delta", Some("mu_deltas.2")),
            ("levels.2.prior.phi_inter", Some("phi_inters.2")),
            ("levels.2.prior.log_std", None),
            ("levels.0.flow.module_list.0.steps.weight", None),
            ("levels.0.flow.other", None),
        ] {
            assert_eq!(published(ours).as_deref(), theirs, "{ours}");
        }
    }
}
