"""What this machine does best: precision, devices, reproducibility."""

import contextlib
import os
import pathlib
import platform

import keras


def set_precision(policy="auto"):
    """Sets Keras' dtype policy, and prints it.

    Variables stay float32 under every policy; what changes is the arithmetic.

    Args:
        policy: `"float32"`, `"mixed_bfloat16"`, `"mixed_float16"`, or `"auto"`: bfloat16
            where the CPU has AMX or AVX512-BF16 or the GPU is of the Ampere generation
            or newer, float16 (Keras scales the loss) on GPUs of the Volta and Turing
            generations, else float32.

    Returns:
        Name of the policy set.

    Raises:
        ValueError: for any other policy.
    """
    policies = ["auto", "float32", "mixed_bfloat16", "mixed_float16"]
    if policy not in policies:
        raise ValueError(f"PRECISION = {policy!r} is not one of {policies}.")
    reason = "as set"
    if policy == "auto":
        policy, reason = _best_policy()
    keras.config.set_dtype_policy(policy)
    print(f"Precision: {policy} ({reason})")
    return policy


def set_seed(seed):
    """Makes the same seed give the same weights, bit for bit, on the same machine.

    Args:
        seed: int.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def devices():
    """Prints the devices found, and shares each batch among them if there are several.

    Returns:
        A context to build and compile the model in: a `MirroredStrategy` on several
        GPUs with TensorFlow, otherwise nothing special.
    """
    names = keras.distribution.list_devices()
    print(f"Devices: {', '.join(names)} ({keras.backend.backend()})")
    if keras.backend.backend() == "tensorflow" and len(_gpus()) > 1:
        import tensorflow as tf

        return tf.distribute.MirroredStrategy().scope()
    return contextlib.nullcontext()


def name():
    """This machine in words, to stand beside a speed: "AMD EPYC, 2 cores, no GPU"."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    cpu = models[0] if models else platform.processor() or platform.machine()
    gpus = ", ".join(_gpu_names()) or "no GPU"
    return f"{cpu}, {os.cpu_count()} cores, {gpus}"


def _best_policy():
    """The policy for this machine, and why."""
    gpus = _gpus()
    if gpus:
        generation = min(gpus)
        if generation >= (8, 0):
            return "mixed_bfloat16", "the GPU has bfloat16 units"
        if generation >= (7, 0):
            return "mixed_float16", "the GPU has float16 units"
        return "float32", "the GPU has no units of half precision"
    for flag in ("amx_bf16", "avx512_bf16"):
        if flag in _cpu_flags():
            return "mixed_bfloat16", f"the CPU has {flag}"
    return "float32", "the CPU has neither amx_bf16 nor avx512_bf16"


def _gpus():
    """CUDA compute capability of each GPU, such as (8, 0)."""
    if keras.backend.backend() == "jax":
        import jax

        gpus = [device for device in jax.devices() if device.platform == "gpu"]
        return [tuple(map(int, gpu.compute_capability.split("."))) for gpu in gpus]
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = map(tf.config.experimental.get_device_details, gpus)
    return [detail.get("compute_capability", (0, 0)) for detail in details]


def _gpu_names():
    if keras.backend.backend() == "jax":
        import jax

        return [gpu.device_kind for gpu in jax.devices() if gpu.platform == "gpu"]
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = map(tf.config.experimental.get_device_details, gpus)
    return [detail.get("device_name", "GPU") for detail in details]


def _cpu_flags():
    cpuinfo = pathlib.Path("/proc/cpuinfo")  # elsewhere than on Linux: no flags known
    return set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
