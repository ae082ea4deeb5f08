"""Which precision this machine is fastest in."""

import pathlib

import keras

POLICIES = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


def choose(policy, name):
    """Turns "auto" into the fastest dtype policy here.

    bfloat16 is the fastest where the CPU has AMX or AVX512-BF16 (not with JAX, where it
    gains nothing) or the GPU is of the Ampere generation or newer, float16 on
    GPUs of the Volta and Turing generations, else float32.

    Args:
        policy: one of `POLICIES`.
        name: what the error calls it.

    Returns:
        (policy, reason): the name of a dtype policy of Keras, and words on why.

    Raises:
        ValueError: for any other policy.
    """
    if policy not in POLICIES:
        raise ValueError(f"{name} = {policy!r} is not one of {[*POLICIES]}.")
    return _fastest() if policy == "auto" else (policy, "as set")


def _fastest():
    if found := gpus():
        generation = min(capability for _, capability in found)
        if generation >= (8, 0):
            return "mixed_bfloat16", "the GPU has bfloat16 units"
        if generation >= (7, 0):
            return "mixed_float16", "the GPU has float16 units"
        return "float32", "the GPU has no known half-precision units"
    if keras.backend.backend() == "jax":
        return "float32", "bfloat16 gains nothing with JAX on a CPU"
    for flag in ("amx_bf16", "avx512_bf16"):
        if flag in cpu_flags():
            return "mixed_bfloat16", f"the CPU has {flag}"
    return "float32", "the CPU has neither amx_bf16 nor avx512_bf16"


def gpus():
    """Name and CUDA compute capability of each GPU, such as ("NVIDIA H200", (9, 0)); the
    capability of those of AMD, Apple and Intel is (0, 0)."""
    if keras.backend.backend() == "jax":
        import jax

        found = [device for device in jax.devices() if device.platform == "gpu"]
        return [(gpu.device_kind, _numbers(gpu.compute_capability)) for gpu in found]
    if keras.backend.backend() == "torch":
        import torch

        device = torch_device()
        if device.type == "cpu":
            return []
        if device.type != "cuda":
            return [(f"GPU ({device.type})", (0, 0))]
        capability = torch.cuda.get_device_capability(device)
        own = capability if torch.version.cuda else (0, 0)
        return [(torch.cuda.get_device_name(device), own)]
    import tensorflow as tf

    found = tf.config.get_visible_devices("GPU")
    details = map(tf.config.experimental.get_device_details, found)
    return [
        (gpu.get("device_name", "GPU"), gpu.get("compute_capability", (0, 0)))
        for gpu in details
    ]


def _numbers(capability):
    """JAX's "9.0" as (9, 0); what it has for AMD, such as "gfx942", as (0, 0)."""
    parts = capability.split(".")
    return tuple(map(int, parts)) if "".join(parts).isdecimal() else (0, 0)


def torch_device():
    """The one device that Keras uses with PyTorch, however many there are."""
    return keras.ops.zeros(()).device


def cpu_flags():
    cpuinfo = pathlib.Path("/proc/cpuinfo")  # elsewhere than on Linux: no flags known
    return set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
