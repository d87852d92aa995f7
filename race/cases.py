"""The cases of the race: what is timed, against whom, and the ratio it should reach."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    name: str
    unit: str
    peers: tuple[str, ...]
    # Peer over ours that is aimed at (of the best peer that is not ONNX Runtime), where one is set.
    target: float | None = None
    higher_is_better: bool = False

    @property
    def part(self):
        return self.name.split("/")[0]


TORCH = ("torch", "torch_channels_last", "onnxruntime")

CASES = (
    *(Case(f"backbone/{name}", "ms", TORCH, target) for name, target in
      (("tf_efficientnet_b6_512_b1", 2), ("tf_efficientnet_b6_1024_b1", 2), ("tf_efficientnet_lite0_256_b8", 2),
       ("resnet18_256_b8", 1.3))),
    *(Case(f"flow/{size}/{what}", "µs a vector", ("torch",), 3) for size in ("D200_N2048", "D200_N8192", "D112_N2048")
      for what in ("forward", "train_step")),
    Case("metrics/pixel_auroc_5.4M", "ms", ("scikit_learn",), 10),
    Case("metrics/aupro_5.4M", "ms", ("numpy",), 10),
    Case("load/jpeg/image", "ms an image", ("pillow",)),
    Case("load/jpeg/decoder", "ms an image", ("pillow",)),
    Case("load/png/image", "ms an image", ("pillow",)),
    Case("load/png/decoder", "ms an image", ("pillow",)),
    Case("whole/test_image", "ms an image", ("oracle",), 3),
    Case("whole/train_pass", "s", ("oracle",), 4),
    Case("kernel/gemm_2048", "GFLOP/s", ("torch", "numpy"), higher_is_better=True),
)

# At most that share of the oracle's peak memory in the whole cases.
MEMORY_TARGET = 0.5
