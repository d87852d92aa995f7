#!/usr/bin/env python3
"""Races hgad against PyTorch on a CUDA device: device.py [--binary FILE] [--oracle DIR] [--rounds 3]

A training step of three levels (64 x 64, 32 x 32, 16 x 16 positions of 200 channels, 12 blocks each,
batch 8, 15 classes of 10 centres): flow, prior, all losses, their gradients and Adam, with the features
on the device. hgad is `hgad bench step --device cuda`, built with --features cuda; PyTorch is the
reference of the method (`reference.py` in the folder --oracle, which needs FrEIA), run eagerly and
compiled by torch.compile, which is done once and not counted. Sides take turns in each round; a figure
is the median of several steps, a ratio the median over rounds of the rounds' ratios. Both round factors
of matrix products alike: f32 not at all, tf32 to 10 bits of mantissa. Prints a page in Markdown.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASSETS = Path(os.environ.get("HGAD_ASSETS") or ROOT.parent / "shared")

PARSER = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
PARSER.add_argument("--binary", type=Path, default=ROOT / "target/release/hgad")
PARSER.add_argument("--oracle", type=Path, default=ASSETS / "oracle", help="folder of reference.py")
PARSER.add_argument("--rounds", type=int, default=3)
PARSER.add_argument("--seconds", type=float, default=1.0, help="how long a side runs in a round, at least")
PARSER.add_argument("--matmul", nargs="+", default=["f32", "tf32"], choices=["f32", "tf32"])
PARSER.add_argument("--output", type=Path, help="where the page goes, in place of standard output")

IMAGES, CLASSES, CENTRES, CHANNELS, SIDES = 8, 15, 10, 200, (64, 32, 16)
CASE = "step/D200_levels64_32_16_b8"
PEERS = ("PyTorch, eager", "PyTorch, compiled")


def median(run, synchronize, seconds, least=5):
    run()
    synchronize()
    times, begin = [], time.perf_counter()
    while len(times) < least or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        run()
        synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def ours(a, matmul):
    command = [a.binary, "-q", "bench", "step", "--device", "cuda", "--matmul", matmul, "--json", "--seconds", str(a.seconds)]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return {c["name"]: c["median"] for c in json.loads(done.stdout)["cases"]}


class Peer:
    def __init__(self, torch, reference, compiled):
        torch.manual_seed(0)
        self.levels = []
        for side in SIDES:
            flow = reference.build_flow(CHANNELS, 256, 12).cuda()
            prior = reference.Prior(CLASSES, CENTRES, CHANNELS).cuda()
            x = torch.randn(IMAGES * side * side, CHANNELS, device="cuda")
            code = reference.position_encoding(256, side, side).cuda().repeat(IMAGES, 1)
            labels = (torch.arange(IMAGES, device="cuda") % CLASSES).repeat_interleave(side * side)
            self.levels.append((flow, prior, x, code, labels))
        self.optimizer = reference.optimizer([l[0] for l in self.levels], [l[1] for l in self.levels])

        def loss(flow, prior, x, code, labels):
            z, log_det = flow(x, [code])
            return reference.total(reference.losses(z, log_det, labels, prior, 2))

        self.loss = torch.compile(loss) if compiled else loss

    def step(self):
        self.optimizer.zero_grad()
        sum(self.loss(*level) for level in self.levels).backward()
        self.optimizer.step()


def race(a, torch, reference):
    figures = {}
    for matmul in a.matmul:
        torch.backends.cuda.matmul.allow_tf32 = matmul == "tf32"
        if hasattr(torch, "_dynamo"):
            torch._dynamo.reset()
        peers = {name: Peer(torch, reference, "compiled" in name) for name in PEERS}
        for peer in peers.values():
            peer.step()
            torch.cuda.synchronize()
        figures[matmul] = []
        for number in range(a.rounds):
            own = ours(a, matmul)
            of_round = {"hgad": own[CASE], "hgad, features from the host": own[f"{CASE}/from_host"]}
            for name, peer in peers.items():
                of_round[name] = median(peer.step, torch.cuda.synchronize, a.seconds)
            print(matmul, number + 1, {k: round(v, 2) for k, v in of_round.items()}, file=sys.stderr, flush=True)
            figures[matmul].append(of_round)
    return figures


def page(figures, torch, a):
    middle = lambda rounds, of: statistics.median(of(r) for r in rounds)
    lines = ["# Performance on CUDA", "", "Written by `race/device.py`; nothing here is written by hand.", ""]
    about = __doc__.split("\n\n", 1)[1]
    lines += [" ".join(about.split()).removesuffix(" Prints a page in Markdown."), ""]
    lines += ["| products | hgad, ms | from the host | PyTorch, eager | PyTorch, compiled | ratio to the better one | target |",
              "|---|---:|---:|---:|---:|---:|---:|"]
    for matmul, rounds in figures.items():
        best = [min(r[p] for p in PEERS) / r["hgad"] for r in rounds]
        row = [f"{middle(rounds, lambda r: r[name]):.1f}" for name in ("hgad", "hgad, features from the host", *PEERS)]
        reached = "reached" if statistics.median(best) >= 1.5 else "missed"
        lines.append(f"| {matmul} | {' | '.join(row)} | {statistics.median(best):.2f} ({min(best):.2f}–{max(best):.2f}) | 1.5, {reached} |")
    device = torch.cuda.get_device_properties(0)
    lines += ["", "| what | which |", "|---|---:|", f"| device | {device.name}, {device.total_memory / 2**30:.0f} GiB |",
              f"| peers | torch {torch.__version__}, CUDA {torch.version.cuda} |", f"| rounds | {a.rounds} |",
              f"| date | {time.strftime('%Y-%m-%d', time.gmtime())} |", "", "## How to repeat", "", "```sh",
              "cargo build --release --features cuda", "just race-cuda", "```", ""]
    return "\n".join(lines)


def main():
    a = PARSER.parse_args()
    if not (a.oracle / "reference.py").is_file():
        sys.exit(f"{a.oracle} has no reference.py: --oracle DIR")
    sys.path.insert(0, str(a.oracle))
    import reference
    import torch
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device here")
    text = page(race(a, torch, reference), torch, a)
    if a.output:
        a.output.write_text(text)
        print(f"wrote {a.output}", file=sys.stderr)
    else:
        print(text)


if __name__ == "__main__":
    main()
