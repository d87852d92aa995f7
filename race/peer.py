#!/usr/bin/env python3
"""Times the other side of one case and prints one JSON object: peer.py CASE PEER [--threads N]

Needs the packages of race/requirements.txt; the flow and the whole need the PyTorch reference of the
method too (`reference.py` in the folder --oracle). Every figure is the median of several runs after
one that does not count, by the rule of `hgad bench`.
"""
import argparse
import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PARSER = argparse.ArgumentParser(description=__doc__.splitlines()[0])
PARSER.add_argument("case")
PARSER.add_argument("peer")
PARSER.add_argument("--threads", type=int, default=os.cpu_count())
PARSER.add_argument("--seconds", type=float, default=2.0)
PARSER.add_argument("--oracle", type=Path, help="folder of reference.py")
PARSER.add_argument("--images", type=Path, help="folder of .jpg and .png files")
PARSER.add_argument("--work", type=Path, default=Path("."), help="folder where exported networks are kept")


def median(run, seconds, least=5, most=200):
    run()
    times, begin = [], time.perf_counter()
    while len(times) < least or (len(times) < most and time.perf_counter() - begin < seconds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def torch_with(threads):
    import torch
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    return torch


def backbone(a):
    """Standard normal images to the map at stride 16: ms a batch."""
    kind, side, batch = a.case.split("/")[1].rsplit("_", 2)
    side, batch = int(side), int(batch[1:])
    torch = torch_with(a.threads)
    import timm
    make = lambda: timm.create_model(kind, pretrained=False, features_only=True, out_indices=[3], exportable=True).eval()
    x = torch.randn(batch, 3, side, side)
    if a.peer == "onnxruntime":
        import onnxruntime
        path = a.work / f"{kind}_{side}_b{batch}.onnx"
        if not path.exists():
            torch.onnx.export(make(), x, str(path), dynamo=False, opset_version=17)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = a.threads
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: x.numpy()}
        return median(lambda: session.run(None, feed), a.seconds) * 1e3
    net = make()
    if a.peer == "torch_channels_last":
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    with torch.no_grad():
        return median(lambda: net(x), a.seconds) * 1e3


def reference(a):
    if not a.oracle or not (a.oracle / "reference.py").is_file():
        sys.exit(f"{a.case} needs the folder of reference.py: --oracle DIR")
    sys.path.insert(0, str(a.oracle))
    import reference
    return reference


def flow(a):
    """A level of the method, 12 blocks on a position code of 256 channels, batch 8: µs a vector."""
    torch = torch_with(a.threads)
    R = reference(a)
    _, size, what = a.case.split("/")
    dim, n = (int(s[1:]) for s in size.split("_"))
    batch, classes = 8, 5 if dim == 112 else 15
    side = round((n / batch) ** 0.5)
    net, prior = R.build_flow(dim, 256, 12), R.Prior(classes, 10, dim)
    optimizer = R.optimizer([net], [prior])
    x = torch.randn(n, dim)
    code = R.position_encoding(256, side, side).repeat(batch, 1)
    labels = (torch.arange(batch) % classes).repeat_interleave(side * side)

    def forward():
        with torch.no_grad():
            net(x, [code])

    def train_step():
        z, log_det = net(x, [code])
        loss = R.total(R.losses(z, log_det, labels, prior, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return median({"forward": forward, "train_step": train_step}[what], a.seconds) / n * 1e6


SIDE, TEST_IMAGES = 256, 83


def auroc(a):
    """scikit-learn's on 5.4 million scores, 3 % positive: ms."""
    import numpy as np
    from sklearn.metrics import roc_auc_score
    draws = np.random.default_rng(0)
    labels = draws.random(TEST_IMAGES * SIDE * SIDE) < 0.03
    scores = (draws.normal(size=labels.size) + labels).astype(np.float32)
    return median(lambda: roc_auc_score(labels, scores), a.seconds, 3) * 1e3


def discs(draws):
    """Masks with one to three discs in three of four images."""
    import numpy as np
    rows, columns = np.mgrid[:SIDE, :SIDE]
    masks = np.zeros((TEST_IMAGES, SIDE, SIDE), bool)
    for mask in masks:
        if draws.random() < 0.25:
            continue
        for _ in range(draws.integers(1, 4)):
            (y, x), radius = draws.uniform(0, SIDE, 2), draws.uniform(6, 30)
            mask |= (rows - y) ** 2 + (columns - x) ** 2 < radius ** 2
    return masks


def per_region_overlap(maps, masks, limit=0.3):
    """AUPRO by one sort of all pixels and running sums, as MVTec's own evaluation does it."""
    import numpy as np
    from skimage.measure import label
    labels = [label(mask, connectivity=2) for mask in masks]
    regions = sum(int(l.max()) for l in labels)
    share = np.zeros(maps.shape)
    for of_image, l in zip(share, labels):
        areas = np.bincount(l.ravel())
        of_image[l > 0] = 1 / (areas[l[l > 0]] * regions)
    order = np.argsort(maps, axis=None)[::-1]
    scores = maps.ravel()[order]
    normal = ~masks.ravel()[order]
    fpr = np.cumsum(normal) / normal.sum()
    pro = np.cumsum(share.ravel()[order])
    # A threshold between equal scores is none.
    last = np.append(np.diff(scores) != 0, True)
    fpr, pro = np.append(0, fpr[last]), np.append(0, pro[last])
    end = np.searchsorted(fpr, limit, side="right")
    x = np.append(fpr[:end], limit)
    y = np.append(pro[:end], np.interp(limit, fpr, pro))
    return np.trapezoid(y, x) / limit


def aupro(a):
    """AUPRO at 0.3 in numpy and scikit-image over the same number of pixels: ms."""
    import numpy as np
    draws = np.random.default_rng(0)
    masks = discs(draws)
    maps = (draws.normal(size=masks.shape) + masks).astype(np.float32)
    return median(lambda: per_region_overlap(maps, masks), a.seconds, 3) * 1e3


def load(a):
    """Pillow and torchvision on as many threads: ms an image. `decoder` is Pillow's alone."""
    torch_with(1)
    from PIL import Image
    from torchvision import transforms as T
    _, kind, what = a.case.split("/")
    endings = {"jpeg": (".jpg", ".jpeg"), "png": (".png",)}[kind]
    found = sorted(p for p in a.images.iterdir() if p.suffix.lower() in endings)
    paths = [found[i % len(found)] for i in range(48)]
    transform = T.Compose([T.Resize(SIDE, Image.LANCZOS), T.CenterCrop(SIDE), T.ToTensor(),
                           T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    decode = lambda path: Image.open(path).convert("RGB")
    one = {"image": lambda path: transform(decode(path)), "decoder": decode}[what]
    with ThreadPoolExecutor(a.threads) as pool:
        return median(lambda: list(pool.map(one, paths)), a.seconds) / len(paths) * 1e3


def test_image(a):
    """From a file to its anomaly map as train_eval.py does it, lite0 at 256 pixels, three levels: ms an image."""
    torch = torch_with(a.threads)
    R = reference(a)
    import timm
    from PIL import Image
    from torchvision import transforms as T
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False, features_only=True, out_indices=[3]).eval()
    dim = net.feature_info.channels()[0]
    transform = T.Compose([T.Resize(SIDE, Image.LANCZOS), T.CenterCrop(SIDE), T.ToTensor(),
                           T.Normalize([127 / 255] * 3, [128 / 255] * 3)])
    sides = [SIDE, SIDE // 2, SIDE // 4]
    flows = [R.build_flow(dim, 256, 12) for _ in sides]
    priors = [R.Prior(5, 10, dim) for _ in sides]
    codes = [R.position_encoding(256, side // 16, side // 16) for side in sides]
    paths = sorted(p for p in a.images.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    number = 0

    @torch.no_grad()
    def to_map(path):
        x = transform(Image.open(path).convert("RGB"))[None]
        likelihood, entropy = [], []
        for side, net_flow, prior, code in zip(sides, flows, priors, codes):
            at_size = x if side == SIDE else torch.nn.functional.interpolate(x, size=(side, side), mode="bilinear", align_corners=True)
            f = net(at_size)[0]
            _, _, h, w = f.shape
            z, log_det = net_flow(f[0].permute(1, 2, 0).reshape(-1, dim), [code])
            u, v = R.score_terms(z, log_det, 0, prior)
            likelihood.append(u.reshape(1, h, w))
            entropy.append(v.reshape(1, h, w))
        return R.anomaly_maps(likelihood, SIDE) * R.anomaly_maps(entropy, SIDE)

    def run():
        nonlocal number
        number += 1
        to_map(paths[number % len(paths)])

    return median(run, a.seconds) * 1e3


def gemm(a):
    """2048 x 2048 matrix product in 32-bit floats: GFLOP/s."""
    n = 2048
    if a.peer == "torch":
        torch = torch_with(a.threads)
        x, y = torch.rand(n, n), torch.rand(n, n)
    else:
        import numpy as np
        x, y = (np.random.default_rng(i).random((n, n), np.float32) for i in range(2))
    return 2 * n ** 3 / median(lambda: x @ y, a.seconds) / 1e9


def copy(a):
    """A copy of 256 MiB that no cache holds, bytes read and written, a slice a thread: GB/s."""
    import numpy as np
    source = np.ones(1 << 26, np.float32)
    target = np.zeros_like(source)
    slices = [slice(i * source.size // a.threads, (i + 1) * source.size // a.threads) for i in range(a.threads)]
    with ThreadPoolExecutor(a.threads) as pool:
        one = lambda s: np.copyto(target[s], source[s])
        return 2 * source.nbytes / median(lambda: list(pool.map(one, slices)), a.seconds) / 1e9


def draw_images(folder):
    """Six photographs' likes of 1024 pixels, each as JPEG and PNG: smooth colours, texture, sensor noise."""
    import numpy as np
    from PIL import Image
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(6):
        draws = np.random.default_rng(i)
        picture = np.full((1024, 1024, 3), 128.0)
        for cells, strength in ((8, 60), (64, 18), (256, 6)):
            noise = Image.fromarray(draws.integers(0, 256, (cells, cells, 3), np.uint8)).resize((1024, 1024), Image.BICUBIC)
            picture += (np.asarray(noise, float) / 255 - 0.5) * strength
        picture += draws.normal(0, 1.5, picture.shape)
        image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
        image.save(folder / f"{i}.jpg", quality=90)
        image.save(folder / f"{i}.png")


CASES = {"backbone": backbone, "flow": flow, "load": load, "metrics/pixel_auroc_5.4M": auroc, "metrics/aupro_5.4M": aupro,
         "whole/test_image": test_image, "kernel/gemm_2048": gemm, "kernel/copy": copy}


def versions():
    from importlib.metadata import PackageNotFoundError, version
    found = {"python": sys.version.split()[0]}
    for name in ("torch", "torchvision", "timm", "FrEIA", "onnxruntime", "scikit-learn", "scikit-image", "numpy", "pillow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            pass
    return found


def main():
    a = PARSER.parse_args()
    if a.case == "images":
        return draw_images(a.images)
    if a.case == "versions":
        return print(json.dumps(versions()))
    time_case = CASES.get(a.case) or CASES.get(a.case.split("/")[0])
    if not time_case:
        sys.exit(f"no peer for {a.case}: there are {', '.join(CASES)}")
    print(json.dumps({"name": a.case, "peer": a.peer, "median": time_case(a)}))


if __name__ == "__main__":
    main()
