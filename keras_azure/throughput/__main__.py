"""`python -m keras_azure.throughput MODEL ...`: the training step of a model on this machine's device.

Needs Keras and one engine alone, and no installation of this package: it runs from a source checkout. Each combination
of batch size, precision and XLA is measured in a process of its own, so that neither its memory nor its failure is in
another's numbers.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NoReturn

_COLUMNS = {
    "batch": "batch_size",
    "precision": "precision",
    "XLA": "xla",
    "images/s": "images_per_second",
    "step ms": "step_seconds",
    "p99 ms": "step_seconds_p99",
    "first s": "first_step_seconds",
    "memory GB": "peak_memory_bytes",
    "GPU busy": "gpu_busy",
    "TFLOPS": "tflops",
    "of peak": "flops_utilisation",
}
_SHOWN = {
    "images_per_second": lambda value: f"{value:,.0f}",
    "step_seconds": lambda value: f"{1e3 * value:.2f}",
    "step_seconds_p99": lambda value: f"{1e3 * value:.2f}",
    "first_step_seconds": lambda value: f"{value:.1f}",
    "peak_memory_bytes": lambda value: f"{value / 1e9:.2f}",
    "gpu_busy": lambda value: f"{value:.0%}",
    "tflops": lambda value: f"{value:.3g}",
    "flops_utilisation": lambda value: f"{value:.1%}",
}


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.engine:
        os.environ["KERAS_BACKEND"] = arguments.engine
    cases = [
        {
            "model": arguments.model,
            "image_shape": _image_shape(arguments.image_size),
            "classes": arguments.classes,
            "batch_size": batch_size,
            "precision": precision,
            "xla": xla,
            "step": arguments.step,
            "device": arguments.device,
            "steps": arguments.steps,
            "seconds": arguments.seconds,
            "rounds": arguments.rounds,
        }
        for xla, precision, batch_size in itertools.product(arguments.xla, arguments.precision, arguments.batch_size)
    ]
    if arguments.alone or arguments.in_turns:
        sys.stdout.write(json.dumps(_measured(cases[0], arguments.in_turns)) + "\n")
        return
    results = []
    for number, case in enumerate(cases, start=1):
        print(f"{number}/{len(cases)}: {_named(case)}", file=sys.stderr, flush=True)  # noqa: T201
        results.append(_measured_apart(case, arguments.engine))
    if arguments.json:
        sys.stdout.write(json.dumps(results, indent=2 if sys.stdout.isatty() else None) + "\n")
    else:
        _show(results)
    if any("error" in result for result in results):
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m keras_azure.throughput",
        description="Measure the training step of a model, on pictures that are on the device already.",
    )
    parser.add_argument("model", help="such as cnn, or \"resnet50(weights='none')\"")
    parser.add_argument("--batch-size", type=_count, nargs="+", default=[32], metavar="N")
    parser.add_argument("--precision", nargs="+", default=["float32"], choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--image-size", type=_count, nargs="+", default=[224, 224, 3], metavar="N",
                        help="height, width and, unless they are 3, channels")  # fmt: skip
    parser.add_argument("--classes", type=_count, default=10, metavar="N")
    parser.add_argument("--engine", choices=["tensorflow", "jax", "torch"], help="by default KERAS_BACKEND")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto")
    parser.add_argument("--xla", nargs="+", choices=["auto", "on", "off"], default=["auto"])
    parser.add_argument("--step", choices=["ours", "keras"], default="ours",
                        help="the step that kaz run trains with, or Keras's own compiled train_step")  # fmt: skip
    parser.add_argument("--steps", type=_count, metavar="N", help="of each round; by default what takes --seconds")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round, about")
    parser.add_argument("--rounds", type=_count, default=5, metavar="N")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)  # this process measures
    # The same; before each round it writes a line, and waits for one: others have their rounds in between.
    parser.add_argument("--in-turns", action="store_true", help=argparse.SUPPRESS)
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return value


def _image_shape(sizes: list[int]) -> list[int]:
    if len(sizes) not in (1, 2, 3):
        _refuse("--image-size takes height, width and perhaps channels, or one number for squares")
    return sizes if len(sizes) == 3 else [sizes[0], sizes[-1], 3]


def _measured_apart(case: dict[str, Any], engine: str | None) -> dict[str, Any]:
    """The numbers of a case, measured in a process of its own; or the `error` that it failed with."""
    options = {
        name: value for name, value in case.items() if name not in ("model", "image_shape") and value is not None
    }
    command = [sys.executable, "-m", __package__, case["model"], "--alone"]
    command += ["--image-size", *map(str, case["image_shape"])]
    command += [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command += ["--engine", engine] if engine else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:  # nothing but the system, or the engine's own code, ends it so
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return {**case, "error": lines[-1] if lines else f"exit code {done.returncode}"}
    return {**case, **json.loads(done.stdout.splitlines()[-1])}


def _measured(case: dict[str, Any], in_turns: bool) -> dict[str, Any]:
    """The numbers of a case, or its `error`, in this process."""
    try:
        return _measure(case, _wait_for_turn if in_turns else lambda: None)
    except Exception as error:
        known = type(error).__module__ == "keras_azure.errors"
        return {"error": str(error) if known else f"{type(error).__name__}: {error}"}


def _wait_for_turn() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if not sys.stdin.readline():  # whoever has asked is gone
        sys.exit(1)


def _measure(case: dict[str, Any], wait_for_turn: Callable[[], None]) -> dict[str, Any]:
    # Only now: the engine is chosen, and what is printed before takes no second.
    from keras_azure.keras_engine import silence_libraries

    silence_libraries()
    from keras_azure.throughput.cases import Case, measure_case
    from keras_azure.throughput.checkout import make_plugins_known

    make_plugins_known()
    return measure_case(Case(**{**case, "image_shape": tuple(case["image_shape"])}), wait_for_turn)


def _named(case: dict[str, Any]) -> str:
    size = "x".join(map(str, case["image_shape"]))
    return f"{case['model']}, {size}, batch {case['batch_size']}, {case['precision']}, XLA {case['xla']}"


def _show(results: list[dict[str, Any]]) -> None:
    rows = [list(_COLUMNS)]
    for result in results:
        cells = [result.get(key) for key in _COLUMNS.values()]
        shown = zip(_COLUMNS.values(), cells, strict=True)
        rows.append(["" if cell is None else _SHOWN.get(key, str)(cell) for key, cell in shown])
    used = [index for index in range(len(_COLUMNS)) if any(row[index] for row in rows[1:])]
    widths = [max(len(row[index]) for row in rows) for index in used]
    first = next((result for result in results if "error" not in result), results[0])
    size = "x".join(map(str, first["image_shape"]))
    about = [first["model"], size, f"{first['classes']} classes", first.get("engine"), first.get("device")]
    lines = [", ".join(filter(None, about))]
    for row in rows:
        lines.append("  ".join(row[index].rjust(width) for index, width in zip(used, widths, strict=True)))
    lines += [f"{_named(result)}: {result['error']}" for result in results if "error" in result]
    if uncounted := first.get("uncounted_layers"):
        lines.append(f"Not counted in TFLOPS: {', '.join(uncounted)}")
    sys.stdout.write("\n".join(lines) + "\n")


def _refuse(problem: str) -> NoReturn:
    print(f"Error: {problem}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


if __name__ == "__main__":
    main()
