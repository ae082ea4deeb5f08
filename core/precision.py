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
    generations = gpus()
    if generations:
        generation = min(generations)
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
    """CUDA compute capability of each GPU, such as (8, 0)."""
    if keras.backend.backend() == "jax":
        import jax

        found = [device for device in jax.devices() if device.platform == "gpu"]
        versions = [gpu.compute_capability.split(".") for gpu in found]
        # Those of AMD are names, such as gfx942.
        return [
            tuple(map(int, version)) if "".join(version).isdecimal() else (0, 0)
            for version in versions
        ]
    if keras.backend.backend() == "torch":
        import torch

        device = torch_device()
        if device.type == "cuda" and torch.version.cuda:
            return [torch.cuda.get_device_capability(device)]
        return [] if device.type == "cpu" else [(0, 0)]  # of AMD, Apple, Intel
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    details = map(tf.config.experimental.get_device_details, found)
    return [detail.get("compute_capability", (0, 0)) for detail in details]


def torch_device():
    """The one device that Keras uses with PyTorch, however many there are."""
    return keras.ops.zeros(()).device


def cpu_flags():
    cpuinfo = pathlib.Path("/proc/cpuinfo")  # elsewhere than on Linux: no flags known
    return set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
