//! `hgad datasets`

use super::Outcome;
use crate::arguments::{DatasetsArguments, DatasetsCommand};
use hgad_datasets::{
    Dataset, Descriptor, PastedKind, PastedSet, Split, SyntheticConfig, SyntheticSet, check,
    write_mvtec,
};
use hgad_experiment::data;
use std::process::ExitCode;

/// Lists, checks or writes data sets.
pub fn run(a: DatasetsArguments) -> Outcome {
    match a.command {
        DatasetsCommand::List => {
            for name in Descriptor::names() {
                let d = Descriptor::by_name(name)?;
                println!("{name:<10} {} ({} classes)", d.title, d.expected_classes()?.len());
                println!("{:<10} {}, licence {}", "", d.homepage, d.licence);
            }
            Ok(ExitCode::SUCCESS)
        }
        DatasetsCommand::Check { name, root } => {
            let descriptor = data::descriptor(&name)?;
            let report = check(&descriptor, &data::root(&root.unwrap_or_default()))?;
            println!("{report}");
            Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        DatasetsCommand::Synthesize { dir, seed } => {
            let set = SyntheticSet::new(SyntheticConfig { seed, ..Default::default() })?;
            write_mvtec(&set, set.samples(), &dir)?;
            println!("wrote {}", dir.display());
            Ok(ExitCode::SUCCESS)
        }
        DatasetsCommand::Paste { name, dir, root, copies, seed } => {
            let base = data::descriptor(&name)?.open(&data::root(&root.unwrap_or_default()))?;
            let normal =
                base.samples().iter().filter(|s| s.split == Split::Train).cloned().collect();
            let set = PastedSet::new(base, normal, copies, &PastedKind::ALL, seed);
            write_mvtec(&set, set.samples(), &dir)?;
            let anomalous = set.samples().iter().filter(|s| s.is_anomalous()).count();
            let all = set.samples().len();
            println!(
                "wrote {anomalous} anomalous and {} normal images to {}",
                all - anomalous,
                dir.display()
            );
            Ok(ExitCode::SUCCESS)
        }
    }
}
