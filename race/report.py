"""docs/performance.md from the figures of a race. No number of it is written by hand."""
import statistics

import work
from cases import CASES, MEMORY_TARGET

TITLES = {"torch": "PyTorch", "torch_channels_last": "PyTorch, channels last", "onnxruntime": "ONNX Runtime", "scikit_learn": "scikit-learn",
          "numpy": "numpy, scikit-image", "pillow": "Pillow, torchvision", "oracle": "PyTorch reference"}
# One of a case's unit, in seconds.
UNITS = {"ms": 1e-3, "ms an image": 1e-3, "µs a vector": 1e-6, "s": 1.0}

REPEAT = """\
```sh
python3 -m venv .venv && .venv/bin/pip install -r race/requirements.txt
HGAD_PEER_PYTHON=.venv/bin/python just race
```

The flow and the two whole cases need the PyTorch reference, the images and the weights of the folder
that `HGAD_ASSETS` names (`../shared` beside the checkout). `just race --only flow --rounds 3` looks at a
part and prints its page; `just race --continue` goes on where a race was stopped; `just bench` times our
side alone. Leave the machine to the race: the load average in the table is that before and after a case."""

METHOD = """\
Each round runs hgad and then the peer, each as a process of its own pinned to the same processors with
the same number of threads. A side's figure in a round is the median of at least five runs (three for
the slowest) after one that does not count; a ratio is the median over rounds of the pairs' ratios, with
the smallest and the largest in brackets; above 1 hgad is ahead. Weights are drawn, inputs too, but for
the whole cases, which run on real images. The case's target is for the best peer that is not ONNX
Runtime."""


def number(value):
    if value is None:
        return "–"
    for limit, form in ((100, ".0f"), (10, ".1f"), (1, ".2f")):
        if value >= limit:
            return f"{value:{form}}"
    return f"{value:.2g}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" if i == 0 else "---:" for i in range(len(head))) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


class Figures:
    """One raced case."""

    def __init__(self, case, raw):
        self.case, self.raw, self.pairs = case, raw, raw["pairs"]

    def ours(self):
        return statistics.median(own for pairs in self.pairs.values() for own, _ in pairs)

    def theirs(self, peer):
        return statistics.median(other for _, other in self.pairs[peer]) if self.pairs.get(peer) else None

    def ratios(self, peer):
        if not self.pairs.get(peer):
            return []
        return [own / other if self.case.higher_is_better else other / own for own, other in self.pairs[peer]]

    def ratio(self, peer):
        ratios = self.ratios(peer)
        return statistics.median(ratios) if ratios else None

    def hardest(self):
        """The peer that is ahead of the others, ONNX Runtime aside."""
        return min((p for p in self.pairs if p != "onnxruntime"), key=self.ratio)

    def ratio_text(self, peer):
        ratios = self.ratios(peer)
        if not ratios:
            return "–"
        spread = f" ({number(min(ratios))}–{number(max(ratios))})" if len(ratios) > 1 else ""
        return f"{number(statistics.median(ratios))}{spread}"

    def target_text(self):
        target = self.case.target
        if target is None:
            return "–"
        return f"{target:g}, {'reached' if self.ratio(self.hardest()) >= target else 'missed'}"


def networks(raced):
    head = ["case", "unit", "hgad", *(TITLES[p] for p in ("torch", "torch_channels_last", "onnxruntime")), "ratio to the best PyTorch",
            "ratio to ONNX Runtime", "target"]
    rows = [[f"`{f.case.name}`", f.case.unit, number(f.ours()), number(f.theirs("torch")), number(f.theirs("torch_channels_last")),
             number(f.theirs("onnxruntime")), f.ratio_text(f.hardest()), f.ratio_text("onnxruntime"), f.target_text()]
            for f in raced if f.case.part in ("backbone", "flow")]
    return table(head, rows) if rows else ""


def others(raced):
    head = ["case", "unit", "hgad", "peer", "its figure", "ratio", "target"]
    rows = [[f"`{f.case.name}`", f.case.unit, number(f.ours()), TITLES[p], number(f.theirs(p)), f.ratio_text(p), f.target_text()]
            for f in raced if f.case.part not in ("backbone", "flow", "kernel") for p in f.pairs]
    return table(head, rows) if rows else ""


def memory(raced):
    rows = []
    for f in raced:
        own = f.raw["memory"]["hgad"]
        for peer in f.pairs:
            share = own / f.raw["memory"][peer]
            is_whole = f.case.part == "whole"
            aim = f"{MEMORY_TARGET}, {'reached' if share < MEMORY_TARGET else 'missed'}" if is_whole else "–"
            rows.append([f"`{f.case.name}`", number(own), TITLES[peer], number(f.raw["memory"][peer]), f"{share:.2f}", aim])
    return table(["case", "hgad, MiB", "peer", "its MiB", "share", "target"], rows)


def floors(figures, raced):
    """What the machine gives, and how far from it each case is."""
    by_name = {f.case.name: f for f in raced}
    gemm = by_name.get("kernel/gemm_2048")
    copy = figures.get("copy_gb_s")
    if not gemm or not copy:
        return "Not measured in this race: it needs the case `kernel/gemm_2048`."
    own = max(o for pairs in gemm.pairs.values() for o, _ in pairs)
    best = {peer: max(other for _, other in gemm.pairs[peer]) for peer in gemm.pairs}
    peak = max(own, *best.values())
    products = table(["2048 x 2048 product, best of all rounds", "GFLOP/s"],
                     [["hgad", number(own)], *([{"torch": "PyTorch", "numpy": "numpy"}[p], number(v)] for p, v in best.items())])
    rows = []
    for f in raced:
        known = figures.get("work", {}).get(f.case.name)
        if f.case.name == "whole/train_pass":
            known = vars(work.of_pass(f.raw["train_images"]))
        if not known or f.case.unit not in UNITS:
            continue
        unit = UNITS[f.case.unit]
        arithmetic, traffic = known["operations"] / peak / 1e9 / unit, known["bytes"] / copy / 1e9 / unit
        floor = max(arithmetic, traffic)
        rows.append([f"`{f.case.name}`", f.case.unit, number(known["operations"] / 1e9), number(known["bytes"] / 1e6), number(arithmetic),
                     number(traffic), number(f.ours()), f"{f.ours() / floor:.1f}x", known["how"]])
    for kind in ("jpeg", "png"):
        image, decoder = by_name.get(f"load/{kind}/image"), by_name.get(f"load/{kind}/decoder")
        if image and decoder:
            rows.append([f"`load/{kind}/image`", image.case.unit, "–", "–", number(decoder.ours()), "–", number(image.ours()),
                         f"{image.ours() / decoder.ours():.1f}x", "the decoder alone, measured"])
    head = ["case", "unit", "GFLOP", "MB", "by arithmetic", "by traffic", "hgad", "distance", "what is counted"]
    return "\n\n".join([
        f"The best matrix product of any side gives {number(peak)} GFLOP/s, a copy that no cache holds {number(copy)} GB/s "
        "(bytes read and written). GFLOP and MB are those of one batch, vector, image or pass, as the unit says. A case cannot take less than its operations at the one or its bytes at the other, "
        "whichever is longer; the distance is our figure over that floor. Bytes of a network are input, output and weights of "
        "each convolution once, so fused layers may go below its traffic.", products, table(head, rows)])


def page(figures):
    raced = [Figures(c, figures["cases"][c.name]) for c in CASES if c.name in figures["cases"]]
    m, versions = figures["machine"], figures.get("versions", {})
    raws = [f.raw for f in raced]
    dates = sorted({r["date"] for r in raws})
    several = lambda key: ", ".join(sorted({str(r[key]) for r in raws}))
    span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    peers = ", ".join(f"{n} {v}" for n, v in versions.items() if n not in ("hgad", "isa", "threads"))
    rows = [["processor", f"{m['model']}, {m['cores']} cores"], ["caches", ", ".join(f"{n} {s}" for n, s in m["caches"].items())],
            ["memory", f"{m['memory_gib']} GiB"], ["system", m["system"]], ["instructions", ", ".join(m["flags"])],
            ["threads of both sides", several("threads")], ["hgad", f"{versions.get('hgad', '?')} at {several('commit')}, kernels on {versions.get('isa', '?')}"],
            ["peers", peers], ["date", span], ["rounds", several("rounds")],
            ["load average", f"{min(r['load'][0] for r in raws):.1f} to {max(max(r['load']) for r in raws):.1f}, the race itself included"]]
    parts = ["# Performance", "Written by `just race`; nothing here is written by hand.", "## The race", METHOD, networks(raced), others(raced),
             "## Peak memory", "Largest resident set of each side's process in any round, with its libraries, its inputs and the preparation of the case.",
             memory(raced), "## The floor", floors(figures, raced), "## The machine", table(["what", "which"], rows), "## How to repeat", REPEAT]
    return "\n\n".join(p for p in parts if p) + "\n"
