"""What this machine does best: precision, devices, reproducibility."""

import contextlib
import functools
import os
import pathlib
import platform
import sys

import joblib
import keras

from core import precision


def set_precision(policy="auto"):
    """Sets Keras' dtype policy, and prints it.

    Variables stay float32 under every policy; what changes is the arithmetic.

    Args:
        policy: `"float32"`, `"mixed_bfloat16"`, `"mixed_float16"` (Keras then scales the
            loss), or `"auto"`: the fastest here, see `core.precision.choose`.

    Returns:
        Name of the policy set.

    Raises:
        ValueError: for any other policy.
    """
    policy, reason = precision.choose(policy, "PRECISION")
    keras.config.set_dtype_policy(policy)
    print(f"Precision: {policy} ({reason})")
    return policy


def start(seed):
    """Prepares this process for a training: to be called before anything else.

    Joins the processes that are to train as one, where the environment names them
    (`KERAS_DISTRIBUTION_NUM_PROCESSES`, JAX alone); all but the first print nothing.

    Args:
        seed: int, as for `set_seed`.

    Raises:
        ValueError: if processes are named, but the backend is not JAX.
    """
    keep_tensorflow_off_gpu()  # before anything sets TensorFlow up
    if "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ:
        _join_processes()
    set_seed(seed)


def set_seed(seed):
    """Makes the same seed give the same weights, bit for bit, on the same machine; with
    JAX only on a CPU.

    Args:
        seed: int.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif keras.backend.backend() == "torch":
        import torch

        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # CUDA asks for it
        torch.use_deterministic_algorithms(True)
        # Filling new memory takes a third of a step, and only shows mistakes.
        torch.utils.deterministic.fill_uninitialized_memory = False


@functools.cache
def keep_tensorflow_off_gpu():
    """Leaves the GPU to JAX or PyTorch where that is the backend: tf.data needs none."""
    if keras.backend.backend() != "tensorflow":
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")


def devices(batch_size):
    """Prints the devices found, and shares each batch among them if there are several.

    Args:
        batch_size: patches in a batch, on all devices together.

    Returns:
        A context to build and compile the model in: a `MirroredStrategy` on several
        GPUs with TensorFlow, otherwise an empty one. (With JAX the devices, including
        those of other processes, are set for everything that follows.)

    Raises:
        ValueError: if the devices cannot share a batch evenly.
    """
    names = _device_names()
    print(f"Devices: {', '.join(names)} ({keras.backend.backend()})")
    if keras.backend.backend() == "jax" and len(names) > 1:
        distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(distribution)
    if batch_size % num_replicas():
        raise ValueError(
            f"BATCH_SIZE = {batch_size} cannot be shared evenly by {num_replicas()} devices."
        )
    if keras.backend.backend() == "tensorflow" and num_replicas() > 1:
        return _mirrored().scope()
    return contextlib.nullcontext()


@functools.cache  # a second one would mix up what the devices exchange
def _mirrored():
    import tensorflow as tf

    return tf.distribute.MirroredStrategy()


def scope_of(model):
    """The context of `devices` that a model was built in, to make more variables in."""
    strategy = getattr(model, "distribute_strategy", None)  # of TensorFlow alone
    return strategy.scope() if strategy else contextlib.nullcontext()


def _join_processes():
    """Joins the other processes; all but the first fall silent."""
    if keras.backend.backend() != "jax":
        raise ValueError(
            "KERAS_DISTRIBUTION_NUM_PROCESSES is set, but only JAX trains in several "
            "processes: set KERAS_BACKEND=jax."
        )
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    keras.distribution.initialize()
    print(f"Process {jax.process_index()} of {jax.process_count()}")
    if not is_first():
        sys.stdout = open(os.devnull, "w")  # every print of the script


def num_replicas():
    """Number of devices that share every batch evenly."""
    if keras.backend.backend() == "tensorflow":
        return max(1, len(precision.gpus()))
    distribution = keras.distribution.distribution()
    return distribution.num_model_replicas if distribution else 1


def own_share(batches):
    """This process's share of batches that all processes make alike.

    Args:
        batches: `tf.data.Dataset` of tuples of arrays [batch, ...].

    Returns:
        `tf.data.Dataset` of tuples of arrays [batch / processes, ...].
    """
    if keras.backend.backend() != "jax":
        return batches
    import jax

    count, index = jax.process_count(), jax.process_index()

    def part(array):
        size = array.shape[0] // count
        return array[index * size : (index + 1) * size]

    return batches.map(lambda *arrays: tuple(map(part, arrays)))


def wait_for_all():
    """Returns when all processes that train as one have come to this point."""
    if keras.backend.backend() == "jax":
        import jax.experimental.multihost_utils

        jax.experimental.multihost_utils.sync_global_devices("")


def is_first():
    """Whether this process writes the results, of those that train as one."""
    if keras.backend.backend() != "jax":
        return True
    import jax

    return jax.process_index() == 0


def describe():
    """This machine in words, to print beside a speed: "AMD EPYC, 2 cores, no GPU"."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    cpu = models[0] if models else platform.processor() or platform.machine()
    gpus = ", ".join(name for name, _ in precision.gpus()) or "no GPU"
    return f"{cpu}, {joblib.cpu_count()} cores, {gpus}"


def compiles_for_each_size():
    """Whether each size of picture takes a compilation, or tuning, of its own."""
    return keras.backend.backend() == "jax" or bool(precision.gpus())


def _device_names():
    """The devices that Keras trains on, such as "cpu:0"."""
    if keras.backend.backend() == "torch":
        return [str(precision.torch_device())]
    return keras.distribution.list_devices()
