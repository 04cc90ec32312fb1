"""How much memory a TensorFlow function holds, from its graph, and how much it moves.

The operations are followed in the order in which they were traced, which is one that they can run in: a training step
goes forward, then backward, then updates the variables. A tensor is held from the operation that makes it to the last
one that takes it. As TensorFlow does it, some operations give on the memory that they take, and elementwise ones write
into memory that nobody needs any more.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

# Of a trace: a prime above all dimensions of networks, so that what it divides grows with the batch.
BATCH_SIZE = 104_729

_READING = {"Const", "ReadVariableOp", "VarHandleOp", "Placeholder", "NoOp"}
_PASSING_ON = {
    *("Bitcast", "CheckNumerics", "ExpandDims", "Identity", "IdentityN", "PreventGradient", "Reshape", "Snapshot"),
    *("Squeeze", "StopGradient"),
}
_WRITING_INTO_INPUTS = {
    *("Abs", "Add", "AddN", "AddV2", "BiasAdd", "Ceil", "DivNoNan", "Elu", "EluGrad", "Erf", "Exp", "Floor"),
    *("FusedBatchNormGradV3", "LeakyRelu", "LeakyReluGrad", "Log", "Log1p", "LogSoftmax", "LogicalAnd", "Maximum"),
    *("Minimum", "Mul", "Neg", "Pow", "RealDiv", "Reciprocal", "Relu", "Relu6", "Relu6Grad", "ReluGrad", "Rsqrt"),
    *("RsqrtGrad", "SelectV2", "Selu", "SeluGrad", "Sigmoid", "SigmoidGrad", "Softmax", "Softplus", "SoftplusGrad"),
    *("Sqrt", "SqrtGrad", "Square", "SquaredDifference", "Sub", "Tanh", "TanhGrad"),
}
_BACKWARD = "gradient_tape/"  # in the names of what TensorFlow adds to a graph for gradients


@dataclass(frozen=True)
class Held:
    """Bytes that are held at one moment, beside the variables.

    Attributes:
        fixed: of what does not grow with the batch: gradients, copies of weights in half precision.
        forward: of the batch, and what the forward pass made of it.
        backward: of gradients by these.
    """

    fixed: int
    forward: int
    backward: int

    @property
    def total(self) -> int:
        return self.fixed + self.forward + self.backward


@dataclass(frozen=True)
class Profile:
    """What a function holds at each of its operations, and moves in all.

    Attributes:
        fixed: bytes that do not grow with the batch, int64 (operations,).
        forward, backward: bytes for each picture, of the forward and the backward pass, int64 (operations,).
        moved_fixed, moved_per_picture: bytes that are read or written by all operations, for the step and each picture.
        kernels: operations that compute something.
    """

    fixed: np.ndarray
    forward: np.ndarray
    backward: np.ndarray
    moved_fixed: int
    moved_per_picture: int
    kernels: int

    def most(self, batch_size: int) -> Held:
        """What is held at the moment when it is most."""
        place = int(np.argmax(self.fixed + batch_size * (self.forward + self.backward)))
        return Held(
            int(self.fixed[place]), int(batch_size * self.forward[place]), int(batch_size * self.backward[place])
        )

    def largest_batch(self, room: int) -> int:
        """The largest batch with which never more than so many bytes are held; 0 if there is none."""
        growing = np.maximum(self.forward + self.backward, 1)
        return max(0, int(((room - self.fixed) // growing).min()))

    def moved(self, batch_size: int) -> int:
        """Bytes that go to or come from the memory of the device."""
        return self.moved_fixed + batch_size * self.moved_per_picture


def profile(function: Callable[..., Any], *arguments: tf.TensorSpec) -> Profile:
    """Traces a function, and follows what it would hold; nothing is computed.

    Args:
        arguments: what it takes, in the first dimension `BATCH_SIZE`.
    """
    graph = tf.function(function, autograph=False).get_concrete_function(*arguments).graph
    operations = _needed(graph)
    memory = _memory_of(operations)
    last_use = {memory[tensor.ref()]: len(operations) for tensor in graph.inputs if tensor.ref() in memory}
    for number, operation in enumerate(operations):
        for taken in _memories(operation.inputs, memory):
            last_use[taken] = max(last_use.get(taken, 0), number)
    return _follow(operations, memory, last_use, [*_memories(graph.inputs, memory)])


def _needed(graph: tf.Graph) -> list[tf.Operation]:
    """The operations that lead to a result or change something, in the order in which they were traced."""
    needed: set[tf.Operation] = set()
    ahead = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    while ahead:
        operation = ahead.pop()
        if operation not in needed:
            needed.add(operation)
            ahead += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    return [operation for operation in graph.get_operations() if operation in needed]


def _memory_of(operations: list[tf.Operation]) -> dict[Any, Any]:
    """For each tensor that lies in memory of its own or of another one: that one. Variables and constants are not."""
    memory: dict[Any, Any] = {}
    for operation in operations:
        for place, given in enumerate(operation.outputs):
            if operation.type in _PASSING_ON:
                taken = operation.inputs[place if operation.type == "IdentityN" else 0].ref()
                if taken in memory:
                    memory[given.ref()] = memory[taken]
            elif operation.type not in _READING or (operation.type == "Placeholder" and given.dtype != tf.resource):
                memory[given.ref()] = given.ref()
    return memory


def _follow(
    operations: list[tf.Operation], memory: dict[Any, Any], last_use: dict[Any, int], arguments: list[Any]
) -> Profile:
    held = np.zeros(3, np.int64)  # fixed, forward, backward
    living: dict[Any, np.ndarray] = {}
    moments, moved, kernels = [], np.zeros(3, np.int64), 0

    def begin(tensor: Any, size: np.ndarray) -> None:
        living[tensor] = size
        np.add(held, size, out=held)

    def end(tensor: Any) -> None:
        np.subtract(held, living.pop(tensor), out=held)

    for tensor in arguments:
        begin(tensor, _size(tensor.deref(), 1))
    for number, operation in enumerate(operations):
        taken = [*_memories(operation.inputs, memory)]
        made = [given.ref() for given in operation.outputs if memory.get(given.ref()) == given.ref()]
        made = [tensor for tensor in made if tensor not in living]
        if operation.type not in _PASSING_ON | _READING:
            part = 2 if _BACKWARD in operation.name else 1
            sizes = [_size(tensor.deref(), part) for tensor in made]
            kernels += 1
            moved += sum(sizes) + sum(_size(tensor, 1) for tensor in operation.inputs)
            free = [tensor for tensor in dict.fromkeys(taken) if last_use[tensor] == number and tensor in living]
            for tensor, size in zip(made, sizes, strict=True):
                if operation.type in _WRITING_INTO_INPUTS:
                    same = next((each for each in free if _in_all(living[each]) == _in_all(size)), None)
                    if same is not None:
                        free.remove(same)
                        end(same)
                begin(tensor, size)
            moments.append(held.copy())
        for tensor in {*taken, *made}:
            if tensor in living and last_use.get(tensor, -1) <= number:
                end(tensor)
    fixed, forward, backward = np.array(moments).T
    return Profile(fixed, forward, backward, int(moved[0]), int(moved[1] + moved[2]), kernels)


def _memories(tensors: Iterable[tf.Tensor], memory: dict[Any, Any]) -> Iterator[Any]:
    return (memory[tensor.ref()] for tensor in tensors if tensor.ref() in memory)


def _size(tensor: tf.Tensor, part: int) -> np.ndarray:
    """Bytes of a tensor: in place 0 if they do not grow with the batch, else those of one picture in place `part`."""
    size = np.zeros(3, np.int64)
    if tensor.dtype in (tf.resource, tf.variant) or not tensor.shape.is_fully_defined():
        return size
    elements = tensor.shape.num_elements()
    grows = elements > 0 and elements % BATCH_SIZE == 0
    size[part if grows else 0] = (elements // BATCH_SIZE if grows else elements) * tensor.dtype.size
    if tensor.op.type == "MaxPool":
        # oneDNN keeps beside each maximum, in a byte, where it was found.
        size[part] += elements // BATCH_SIZE
    return size


def _in_all(size: np.ndarray) -> tuple[int, int]:
    return int(size[0]), int(size[1] + size[2])
