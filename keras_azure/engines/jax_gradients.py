"""Gradients by JAX, compiled once for each shape of the inputs; the variables are arguments, and no constants."""

from typing import Any

import jax
import keras
import numpy as np

from keras_azure.engines.gradients import Forward, Slopes


class JaxGradients:
    """As `Gradients` says."""

    def __init__(self, model: keras.Model, forward: Forward):
        self._variables, self._forward = model.variables, forward
        self._compiled = jax.jit(self._slopes)

    def __call__(self, *inputs: np.ndarray) -> Slopes:
        found = self._compiled([variable.value for variable in self._variables], inputs)
        return Slopes(*map(np.asarray, found))

    def _slopes(self, variables: list[Any], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """JAX knows no gradient at a place within a function: it is that of something that is added there, and is 0."""
        _, _, all_tapped = jax.eval_shape(lambda: self._pass(variables, inputs, None))
        nothing = jax.numpy.zeros(all_tapped[-1].shape, all_tapped[-1].dtype)

        def sum_of_scores(added: Any) -> tuple[Any, tuple[Any, ...]]:
            scores, outputs, tapped = self._pass(variables, inputs, (len(all_tapped), added))
            return scores.sum(), (tapped[-1], scores, outputs)

        gradients, (values, scores, outputs) = jax.grad(sum_of_scores, has_aux=True)(nothing)
        return values, gradients, scores, outputs

    def _pass(
        self, variables: list[Any], inputs: tuple[Any, ...], addition: tuple[int, Any] | None
    ) -> tuple[Any, Any, list[Any]]:
        """
        Args:
            addition: at which tapping, counted from 1, something is added, and what.
        """
        tapped: list[Any] = []

        def tap(values: Any) -> Any:
            tapped.append(values)
            return values + addition[1] if addition and len(tapped) == addition[0] else values

        with keras.StatelessScope(state_mapping=[*zip(self._variables, variables, strict=True)]):
            scores, outputs = self._forward(*inputs, tap)
        return scores, outputs, tapped
