"""Streams of batches that can be left half way.

Functions of ours run in TensorFlow's threads. When a process ends while an iterator is not at its end, as after an
error, Ctrl-C or an early stop in a script, Python lets none of these threads run any more; TensorFlow, destroying the
iterator, waits for them, and the process never ends (seen each time with TensorFlow 2.21). So the iterators are kept
here, and brought to their end before a run is over.
"""

from collections.abc import Iterator

import tensorflow as tf

_MOST_AHEAD = 10_000  # batches that TensorFlow may have made ahead; it makes some dozens


class Streams:
    """The streams that read one source.

    `numbers = streams.stoppable(numbers)` where a stream begins, and `stream = streams.kept(stream)` where it ends.
    """

    def __init__(self) -> None:
        with tf.device("cpu:0"):
            self._stopped = tf.Variable(False, trainable=False)
        self._iterators: list[Iterator[tf.Tensor]] = []

    def stoppable(self, steps: tf.data.Dataset) -> tf.data.Dataset:
        """The steps, which end when the streams are closed."""
        return steps.take_while(tf.autograph.experimental.do_not_convert(lambda step: tf.logical_not(self._stopped)))

    def kept(self, stream: tf.data.Dataset) -> tf.data.Dataset:
        """The stream, whose iterators are kept for `close`, whoever makes them."""
        iterators = self._iterators

        class Kept(type(stream)):  # type: ignore[misc]  # TensorFlow's class, which is known only now
            def __iter__(self) -> Iterator[tf.Tensor]:
                iterator: Iterator[tf.Tensor] = super().__iter__()
                iterators.append(iterator)
                return iterator

        stream.__class__ = Kept
        return stream

    def close(self) -> None:
        """Ends all streams; what they have made ahead is dropped. Afterwards their iterators may be destroyed."""
        self._stopped.assign(True)
        for iterator in self._iterators:
            for _ in range(_MOST_AHEAD):
                try:
                    next(iterator)
                except StopIteration:
                    break
                except tf.errors.OpError:  # of a function that failed, for which the run has its own error
                    continue
        self._iterators.clear()
