"""Adam's update as TensorFlow's one operation for each variable, in place of some twenty small ones.

The optimizer is Keras's own and stays so: its variables, its options and its file are the same, and what it does
around the update (clipping, weight decay, averages, loss scaling) is still its own. Only the numbers' rounding differs.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf


@contextlib.contextmanager
def fused_updates(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """While its body is traced, updates wait for all gradients, and those of Adam are fused.

    Where an update came before the backward pass had read the variable for the last time, TensorFlow would copy it.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # behind loss scaling
    apply = optimizer.apply

    def apply_when_all_are_there(grads: Any, trainable_variables: Any = None) -> None:
        grads = list(grads)
        with tf.control_dependencies([grad for grad in grads if grad is not None]):
            apply(grads, trainable_variables)

    replaced: dict[str, Callable[..., None]] = {"apply": apply_when_all_are_there}
    if _is_plain_adam(optimizer):
        replaced["update_step"] = _fused_update_step(optimizer)
    own = vars(optimizer)  # not by assignment, which Keras would track
    own.update(replaced)
    try:
        yield
    finally:
        for name in replaced:
            del own[name]


def _is_plain_adam(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether its update is that of Adam, as in AdamW, and no subclass's own."""
    return (
        isinstance(optimizer, keras.optimizers.Adam)
        and type(optimizer).update_step is keras.optimizers.Adam.update_step
        and not optimizer.amsgrad
    )


def _fused_update_step(adam: keras.optimizers.Adam) -> Callable[[tf.Tensor, keras.Variable, tf.Tensor], None]:
    by_parts = adam.update_step

    def update_step(gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        """As `keras.optimizers.Adam.update_step`: algorithm 1 of arXiv:1412.6980 in the order of its section 2."""
        if isinstance(gradient, tf.IndexedSlices):
            by_parts(gradient, variable, learning_rate)
            return
        dtype = variable.dtype
        index = adam._get_variable_index(variable)
        step = tf.cast(adam.iterations + 1, dtype)
        beta_1, beta_2 = (tf.cast(beta, dtype) for beta in (adam.beta_1, adam.beta_2))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=adam._momentums[index].value.handle,
            v=adam._velocities[index].value.handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.cast(adam.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )

    return update_step
