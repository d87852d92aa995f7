#!/usr/bin/env python3
"""Races hgad against its peers, pair by pair in turn, and writes docs/performance.md.

  python3 race/race.py                       all cases, 5 rounds; the whole training pass takes the most of it
  python3 race/race.py --only flow --rounds 3
  python3 race/race.py --continue            keeps the cases that the figures file already has

Each round runs hgad and then the peer, as processes of their own on the same threads, so that
whatever slows the machine slows both; a ratio is the median over rounds of the pairs' ratios. Every
case is kept in the figures file (--figures) as it is done. With --only the page goes to standard
output unless --output says where.
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from cases import CASES

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
ASSETS = Path(os.environ.get("HGAD_ASSETS") or ROOT.parent / "shared")

PARSER = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
PARSER.add_argument("--rounds", type=int, default=5)
PARSER.add_argument("--only", default="", help="cases with that in their names")
PARSER.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
PARSER.add_argument("--seconds", type=float, default=2.0, help="how long a side runs in a round, at least")
PARSER.add_argument("--passes", type=int, default=3, help="passes of whole/train_pass; the first does not count")
PARSER.add_argument("--binary", type=Path, default=TARGET / "release/hgad")
PARSER.add_argument("--python", default=os.environ.get("HGAD_PEER_PYTHON", sys.executable), help="interpreter that has race/requirements.txt")
PARSER.add_argument("--assets", type=Path, default=ASSETS, help="folder with oracle/, data/real5 and weights/")
PARSER.add_argument("--data", type=Path, help="data set of whole/train_pass, in the MVTec layout; real5 of the assets")
PARSER.add_argument("--figures", type=Path, default=TARGET / "race/figures.json")
PARSER.add_argument("--output", type=Path)
PARSER.add_argument("--continue", dest="keep", action="store_true", help="keeps cases that have been raced")
PARSER.add_argument("--report", action="store_true", help="measures nothing, writes the page of the figures file")

LITE0 = "tf_efficientnet_lite0"


class Race:
    def __init__(self, a):
        self.a = a
        self.work = a.figures.parent.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.data = a.data or a.assets / "data/real5"
        self.images = self.work / "images"
        self.cpus = sorted(os.sched_getaffinity(0))[: a.threads]
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
        self.environment = {**os.environ, **{n: str(a.threads) for n in names}}
        self.environment["HGAD_CACHE"] = str(self.work / "cache")

    def process(self, command, environment=(), **more):
        """Output and peak memory (MiB) of a process on the race's processors."""
        with tempfile.TemporaryFile("w+") as out:
            child = subprocess.Popen([str(c) for c in command], stdout=out, env={**self.environment, **dict(environment)},
                                     preexec_fn=lambda: os.sched_setaffinity(0, self.cpus), **more)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            text = out.read()
        if child.returncode:
            sys.exit(f"{' '.join(map(str, command))}\nended with {child.returncode}\n{text}")
        return text, usage.ru_maxrss / 1024

    def peer(self, name, *arguments):
        # Left to itself glibc gives large maps back to the system after each layer, which costs PyTorch's
        # networks up to half their speed; the flow is faster without this.
        keep = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 34)} if name.startswith("backbone/") else {}
        return self.process([self.a.python, ROOT / "race/peer.py", name, *arguments], keep)

    def folder_of_images(self, case):
        """The same files for both sides: drawn ones to load, real ones to test where there are any."""
        real = self.a.assets / "data/real5/bottle/test/broken_large"
        return real if case.part == "whole" and real.is_dir() else self.images

    def ours(self, case):
        if case.name == "whole/train_pass":
            return self.our_pass()
        command = [self.a.binary, "-q", "bench", case.part, "--case", case.name, "--json", "--threads", self.a.threads,
                   "--seconds", self.a.seconds]
        if case.part in ("load", "whole"):
            command += ["--images", self.folder_of_images(case)]
        text, memory = self.process(command)
        printed = json.loads(text)
        self.versions = printed["versions"]
        return next(c["median"] for c in printed["cases"] if c["name"] == case.name), memory

    def theirs(self, case, peer):
        if case.name == "whole/train_pass":
            return self.their_pass()
        text, memory = self.peer(case.name, peer, "--threads", self.a.threads, "--seconds", self.a.seconds, "--work", self.work,
                                 "--oracle", self.a.assets / "oracle", "--images", self.folder_of_images(case))
        return json.loads(text.splitlines()[-1])["median"], memory

    def weights(self):
        return self.a.assets / f"weights/{LITE0}.safetensors"

    def our_pass(self):
        """Median seconds of the passes after the first."""
        with tempfile.TemporaryDirectory(dir=self.work) as runs:
            settings = {"data.root": self.data, "backbone.kind": LITE0, "backbone.weights": self.weights(), "data.img_size": 256,
                        "train.epochs": self.a.passes, "train.passes": 1, "eval.every": 0, "maps.per_class": 0, "run.dir": runs}
            command = [self.a.binary, "-q", "--threads", self.a.threads, "experiment", "hgad-folder"]
            for key, value in settings.items():
                command += ["--set", f"{key}={value}"]
            _, memory = self.process(command)
            log, = Path(runs).rglob("metrics.jsonl")
            seconds = [json.loads(line)["seconds"] for line in log.read_text().splitlines()]
            results, = Path(runs).rglob("results.json")
            self.train_images = json.loads(results.read_text())["train_images"]
        return statistics.median(seconds[1:]), memory

    def their_pass(self):
        folder = self.a.assets / "oracle"
        text, memory = self.process([self.a.python, folder / "train_eval.py", self.data.resolve(), "--backbone", LITE0, "--weights",
                                     self.weights().resolve(), "--img-size", 256, "--epochs", self.a.passes], cwd=folder)
        seconds = [float(s) for s in re.findall(r"^epoch \d+ ([\d.]+) s", text, re.M)]
        return statistics.median(seconds[1:]), memory

    def case(self, case):
        """All rounds of one case: pairs of figures by peer, and the largest memory of each side."""
        pairs = {peer: [] for peer in case.peers}
        memory = {}
        began = os.getloadavg()[0]
        for number in range(self.a.rounds):
            for peer in case.peers:
                (own, own_memory), (other, other_memory) = self.ours(case), self.theirs(case, peer)
                pairs[peer].append((own, other))
                memory["hgad"] = max(memory.get("hgad", 0), own_memory)
                memory[peer] = max(memory.get(peer, 0), other_memory)
                print(f"{case.name} round {number + 1}: hgad {own:.3f}, {peer} {other:.3f} {case.unit}", file=sys.stderr, flush=True)
        out = {"pairs": pairs, "memory": memory, "rounds": self.a.rounds, "threads": self.a.threads, "commit": commit(),
               "date": time.strftime("%Y-%m-%d", time.gmtime()), "load": [began, os.getloadavg()[0]]}
        if case.name == "whole/train_pass":
            out["train_images"] = self.train_images
        return out


def commit():
    git = lambda *command: subprocess.run(["git", "-C", ROOT, *command], capture_output=True, text=True).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain", "-uno") else "")


def machine():
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    model = re.search(r"^model name\s*: (.*)", text, re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.M) if text else None
    sizes = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        read = lambda name: (index / name).read_text().strip()
        if read("type") != "Instruction":
            sizes[f"L{read('level')}"] = read("size")
    flags = re.search(r"^flags\s*: (.*)", text, re.M)
    wanted = ("avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_int8")
    return {"model": model.group(1) if model else platform.processor(), "cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}",
            "memory_gib": round(int(memory.group(1)) / 2 ** 20, 1) if memory else None, "caches": sizes,
            "flags": [f for f in wanted if flags and f in flags.group(1).split()]}


def main():
    a = PARSER.parse_args()
    figures = json.loads(a.figures.read_text()) if a.figures.exists() and (a.keep or a.report) else {}
    cases = figures.setdefault("cases", {})
    if not a.report:
        if not a.binary.exists():
            sys.exit(f"{a.binary} is not there: cargo build --release, or --binary FILE")
        chosen = [c for c in CASES if a.only in c.name]
        if not chosen:
            sys.exit(f"no case has `{a.only}` in its name: {', '.join(c.name for c in CASES)}")
        race = Race(a)
        if os.getloadavg()[0] > 0.5:
            print(f"warning: the load average is {os.getloadavg()[0]:.1f}; figures are good on a quiet machine alone", file=sys.stderr)
        if any(c.part == "load" or c.name == "whole/test_image" for c in chosen) and not race.images.is_dir():
            race.peer("images", "-", "--images", race.images)
        figures["machine"] = machine()
        for case in chosen:
            if a.keep and cases.get(case.name, {}).get("rounds", 0) >= a.rounds:
                continue
            if case.name == "whole/train_pass" and not race.data.is_dir():
                print(f"{case.name} is left out: there is no {race.data}", file=sys.stderr)
                continue
            cases[case.name] = race.case(case)
            figures.setdefault("versions", {}).update(getattr(race, "versions", {}))
            a.figures.write_text(json.dumps(figures, indent=1))
        figures["versions"].update(json.loads(race.peer("versions", "-")[0]))
        copies = [json.loads(race.peer("kernel/copy", "numpy", "--threads", a.threads)[0])["median"] for _ in range(a.rounds)]
        figures["copy_gb_s"] = max(copies)
        text, _ = race.process([a.python, ROOT / "race/work.py", *(name for name in cases)])
        figures["work"] = json.loads(text)
        a.figures.write_text(json.dumps(figures, indent=1))
    page = report.page(figures)
    output = a.output or (None if a.only else ROOT / "docs/performance.md")
    if output:
        output.write_text(page)
        print(f"wrote {output}", file=sys.stderr)
    else:
        print(page)


if __name__ == "__main__":
    main()
