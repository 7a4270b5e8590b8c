"""The precision of a run: float32, or bf16 where that is faster; and the instructions that it uses.

The choice follows from the machine's kind, the device and the encoders, and is never timed: one seed in, the same result
out, however busy the machine is.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch


def hardware_bf16(device: torch.device) -> bool:
    """Whether a device computes bf16 in hardware; emulated bf16 is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def instruction_set(device: torch.device) -> str:
    """What computes there: the vector instructions of the processor, or the name of the GPU.

    Sums are ordered differently elsewhere, so that results differ in their last bits.

    >>> instruction_set(torch.device("cpu")).startswith("cpu ")
    True
    """
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    return f"cpu {torch.backends.cpu.get_cpu_capability()}" if device.type == "cpu" else device.type


def chosen(precision: str, device: torch.device, encoders: Iterable[object]) -> str:
    """``fp32`` or ``bf16``: as asked for, or what ``auto`` is there.

    ``auto`` is bf16 where the device has it in hardware; on a CPU only if every encoder says that it is faster there and
    learns no worse, with ``bf16_on_cpu = True``, which is written where `benchmarks/precision.py` shows both. An encoder
    that says nothing is trained in float32 on a CPU.

    Args:
        precision: ``auto``, ``fp32`` or ``bf16``.
        device: where it is computed.
        encoders: all that are trained, or their classes.

    >>> chosen("auto", torch.device("cpu"), [torch.nn.Linear]), chosen("bf16", torch.device("cpu"), [])
    ('fp32', 'bf16')
    """
    if precision != "auto":
        return precision
    if not hardware_bf16(device):
        return "fp32"
    pays = device.type != "cpu" or all(getattr(encoder, "bf16_on_cpu", False) for encoder in encoders)
    return "bf16" if pays else "fp32"
