"""`kaz explain`: what in images the model of a finished run goes by, as a sheet and as arrays."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from keras_azure.cli.output import print_json, print_text
from keras_azure.cli.predict import Told, all_in_one, expanded
from keras_azure.lazy import lazy

if TYPE_CHECKING:
    from keras_azure.explaining.explanation import Explanation


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)


def explain(
    run: Annotated[Path, typer.Argument(help="The run folder, or its model.keras.", show_default=False)],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Image files, or folders of some.", show_default=False)
    ],
    *,
    method: Annotated[
        Literal["grad-cam", "integrated-gradients", "both"],
        typer.Option(help="Where the last convolution looks, or what each pixel adds."),
    ] = "grad-cam",
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="The class, label or number to explain; by default what is predicted.",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="Of Grad-CAM: a layer in place of the last one of feature maps.", show_default=False),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=1024, help="Of integrated gradients, to begin with.")] = 64,
    output: Annotated[Path, typer.Option(help="The PNG file to write.")] = Path("explain.png"),
    arrays: Annotated[Path | None, typer.Option(help="An NPZ file to write the maps to.", show_default=False)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what in images a finished run's model goes by.

    Files that cannot be read are named on stderr, and the exit code is 1 then.
    """
    paths = [path for image in images for path in expanded(image, Told())]
    explanation: Explanation = lazy("keras_azure.api.explanations:explain")(
        run,
        paths,
        method=method,
        class_name=class_name,
        layer=layer,
        steps=steps,
        output=output,
        arrays=arrays,
        overwrite=overwrite,
        skip_unreadable=True,
    )
    written = {"sheet": output, "arrays": arrays}
    files = {name: str(path) for name, path in written.items() if path is not None}
    if json:
        print_json({"images": explanation.to_json(), **files})
    else:
        print_text("\n".join(files.values()))
    if explanation.unreadable:
        raise all_in_one(explanation.unreadable)
