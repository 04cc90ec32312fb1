import json
import subprocess
import textwrap

import pytest

from keras_azure.description.config import RunConfig
from keras_azure.registry.registry import AUGMENTATIONS, MODELS, Registry

GOOD = """
    import keras
    from keras import layers

    def good(input_shape, num_classes, *, units: int = 4):
        '''A network for tests.'''
        print("built")
        return keras.Sequential([
            layers.Input(input_shape), layers.Rescaling(1 / 255), layers.Flatten(),
            layers.Dense(units, activation="relu", name="hidden"), layers.Dense(num_classes, activation="softmax"),
        ])

    def bad(input_shape, num_classes):
        model = good(input_shape, num_classes)
        model.compile()
        return model

    def leaves(input_shape, num_classes):
        raise SystemExit(3)

    def needs(*, path: str):
        '''A data set that is somewhere.'''
"""


@pytest.fixture
def good_plugin(install_plugin):
    install_plugin("kaz-good", {"models": "good = kaz_good:good"}, GOOD)


@pytest.fixture
def broken_plugin(install_plugin):
    install_plugin("kaz-broken", {"models": "broken = kaz_broken:net"}, "raise RuntimeError('no luck')")


@pytest.fixture
def twins(install_plugin):
    install_plugin("kaz-one", {"models": "twin = kaz_one:net"})
    install_plugin("kaz-two", {"models": "twin = kaz_two:net"})


def test_list_shows_every_kind(kaz):
    code, out, err = kaz("list")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    for row in (
        ["models", "package", "target"],
        ["cnn", "keras-azure", "kaz_cnn:cnn"],
        ["augmentations", "package", "target"],
        ["digits", "keras-azure", "keras_azure.data.named:Digits"],
    ):
        assert row in rows


def test_list_of_one_kind(kaz):
    code, out, _ = kaz("list", "backends")
    assert code == 0
    [line] = [line for line in out.splitlines() if line.startswith("azure")]
    assert line.endswith(
        "keras_azure.backends.azure.backend:azure [family, kaz-sizes]  (and all azure-NAME: kaz sizes)"
    )
    assert "(and all local-NAME: kaz show local)" in out
    assert "cnn" not in out


def test_a_member_of_a_family_is_shown_with_its_machine(kaz):
    code, out, _ = kaz("show", "azure-nc24r")
    assert code == 0
    assert out.startswith("backend azure(*, size: str = ")
    assert "Machine: Standard_NC64as_T4_v3, T4, Azure retired Standard_NC24r on 2023-08-31; the run goes to " in out
    assert "with no InfiniBand" in out
    assert "device: Literal['auto', 'cpu', 'gpu']" in kaz("show", "local-cpu")[1]


def test_what_a_family_does_not_have_is_refused_with_the_nearest(kaz):
    code, out, err = kaz("show", "azure-nc7")
    assert (code, out) == (2, "")
    assert err.startswith("Error: There is no Azure size called 'nc7'.\nExpected: such as NC6")
    assert "Try: kaz sizes" in err
    code, out, err = kaz("show", "local-tpu")
    assert (code, out) == (2, "")
    assert "'device' of the backend 'local' cannot be 'tpu'" in err


def test_list_shows_what_keras_has_where_it_is_asked_for(kaz, install_plugin):
    install_plugin("kaz-hard", {"losses": "hard = kaz_hard:hard\npoisson = kaz_hard:poisson"}, "raise RuntimeError")
    _, out, _ = kaz("list")
    rows = [line.split() for line in out.splitlines()]
    assert ["hard", "kaz-hard", "kaz_hard:hard"] in rows
    assert "and 13 of Keras: kaz list optimizers" in out
    assert "keras.losses" not in out
    _, out, _ = kaz("list", "losses")
    rows = [line.split() for line in out.splitlines()]
    assert ["hard", "kaz-hard", "kaz_hard:hard"] in rows
    assert ["huber", "keras", "keras.losses:Huber"] in rows
    assert [row[1] for row in rows if row[0] == "poisson"] == ["kaz-hard"]  # before Keras's, not beside it
    listed = json.loads(kaz("list", "losses", "--json")[1])
    assert {"name": "huber", "package": "keras", "target": "keras.losses:Huber"} in listed


def test_list_as_json(kaz):
    listed = json.loads(kaz("list", "models", "--json")[1])
    assert {"name": "cnn", "package": "keras-azure", "target": "kaz_cnn:cnn"} in listed
    every = json.loads(kaz("list", "--json")[1])
    assert [*every] == [
        *("models", "augmentations", "datasets", "backends", "callbacks", "losses", "metrics", "optimizers")
    ]
    assert every["models"] == listed


def test_list_does_not_cut_long_names_in_a_pipe(kaz, install_plugin):
    name = "a-name-" * 20 + "x"
    install_plugin("kaz-long", {"models": f"{name} = kaz_long:{'net' * 40}"})
    _, out, _ = kaz("list", "models")
    assert [name, "kaz-long", f"kaz_long:{'net' * 40}"] in [line.split() for line in out.splitlines()]
    assert out.isascii()


def test_list_of_an_unknown_kind(kaz):
    code, _, err = kaz("list", "engines")
    assert code == 2
    assert (
        "'models', 'augmentations', 'datasets', 'backends', 'callbacks', 'losses', 'metrics', 'optimizers'"
        in " ".join(err.replace("│", " ").split())
    )


def test_list_passes_over_what_is_broken_and_marks_what_is_ambiguous(kaz, broken_plugin, twins):
    code, out, err = kaz("list", "models")
    assert (code, err) == (0, "")
    assert ["broken", "kaz-broken", "kaz_broken:net"] in [line.split() for line in out.splitlines()]
    marked = [line for line in out.splitlines() if "ambiguous" in line]
    assert [line.split()[:2] for line in marked] == [["twin", "kaz-one"], ["twin", "kaz-two"]]
    names = [entry["name"] for entry in json.loads(kaz("list", "models", "--json")[1])]
    assert names.count("twin") == 2


def test_a_broken_package_changes_nothing_for_other_runs(broken_plugin):
    assert RunConfig("cnn", data="digits").resolved()
    assert callable(MODELS.load("cnn"))


def test_show_a_model(kaz):
    code, out, _ = kaz("show", "cnn")
    assert code == 0
    for text in (
        "model cnn(input_shape: tuple[int, int, int], num_classes: int, *, filters: tuple[int, ...] = (16, 32),",
        "kaz_cnn:cnn in the package keras-azure 0.1.0",
        "Convolutions that halve the picture",
        "Built for 28x28x1 pictures of 10 classes",
        "convolution_1  Conv2D        28x28x16  160",
        "409,034 parameters, 409,034 of them trainable",
    ):
        assert text in out


def test_show_a_model_for_other_pictures_with_options_as_json(kaz):
    code, out, _ = kaz("show", "cnn(filters=8, dense=())", "--input-shape", "32", "16", "3", "--classes", "5", "--json")
    assert code == 0
    (shown,) = json.loads(out)
    assert {name: shown[name] for name in ("kind", "name", "package", "target", "input_shape", "num_classes")} == {
        "kind": "model",
        "name": "cnn",
        "package": "keras-azure",
        "target": "kaz_cnn:cnn",
        "input_shape": [32, 16, 3],
        "num_classes": 5,
    }
    assert [layer["type"] for layer in shown["layers"]] == ["Rescaling", "Conv2D", "MaxPooling2D", "Flatten", "Dense"]
    assert shown["layers"][1] == {
        "name": "convolution_1",
        "type": "Conv2D",
        "output_shape": [None, 32, 16, 8],
        "parameters": 3 * 9 * 8 + 8,
    }
    assert shown["parameters"] == shown["trainable_parameters"] == 224 + (16 * 8 * 8 + 1) * 5


def test_show_a_data_set(kaz):
    code, out, _ = kaz("show", "digits")
    assert code == 0
    assert "data set digits(" in out
    assert "keras_azure.data.named:Digits in the package keras-azure" in out
    assert "parameters" not in out


def test_show_every_kind_that_has_the_name(kaz, install_plugin):
    install_plugin("kaz-good", {"models": "twofold = kaz_good:good", "datasets": "twofold = kaz_good:needs"}, GOOD)
    shown = json.loads(kaz("show", "twofold", "--json")[1])
    assert [(each["kind"], each["version"]) for each in shown] == [("model", "1.2.3"), ("data set", "1.2.3")]
    assert "layers" in shown[0]
    assert "layers" not in shown[1]
    _, out, _ = kaz("show", "twofold")
    assert out.index("model twofold(") < out.index("data set twofold(")


def test_show_a_model_that_needs_options(kaz, install_plugin):
    code = GOOD.replace("units: int = 4", "units: int")
    install_plugin("kaz-good", {"models": "needy = kaz_good:good"}, code)
    code, out, _ = kaz("show", "needy")
    assert code == 0
    assert "kaz show 'needy(option=...)'" in out
    assert "hidden" in kaz("show", "needy(units=3)")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("cn",), 2, "Error: There is no plugin called 'cn'. Did you mean 'cnn'?\nTry: kaz list\n"),
        (("cnn(",), 2, "is not a name with options"),
        (("cnn(filter=3)",), 2, "The model 'cnn' has no option 'filter'."),
        (("cnn(dropout=2)",), 2, "refuses its options: dropout=2.0 must be"),
        (("cnn", "--input-shape", "0", "28", "1"), 2, "No picture has the shape (0, 28, 1)."),
        (("cnn", "--classes", "0"), 2, "--classes"),
        (("broken",), 1, "kaz_broken:net in the package kaz-broken): RuntimeError: no luck"),
        (("twin",), 2, "'twin' is claimed by kaz-one and kaz-two"),
    ],
)
def test_show_says_what_is_wrong(kaz, broken_plugin, twins, arguments, code, message):
    left, out, err = kaz("show", *arguments)
    assert (left, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_show_what_is_no_model(kaz, install_plugin):
    install_plugin("kaz-odd", {"models": "odd = kaz_odd:net"}, "def net(input_shape, num_classes): ...")
    code, _, err = kaz("show", "odd")
    assert code == 1
    assert "gives a NoneType" in err


@pytest.mark.slow
def test_check_finds_nothing_wrong_with_the_first_party_plugins(kaz, monkeypatch):
    every = Registry.entries  # of the augmentations one is enough: test_layers.py checks them all
    monkeypatch.setattr(
        Registry,
        "entries",
        lambda self: [entry for entry in every(self) if self is not AUGMENTATIONS or entry.name == "flip"],
    )
    code, out, _ = kaz("check")
    assert code == 0
    lines = out.splitlines()
    for model in ("autoencoder", "cnn", "features", "resnet50", "transfer"):
        assert f"ok      model {model}" in lines
    assert "ok      augmentation flip" in lines
    assert "ok      data set digits" in lines
    assert "loaded  data set idx: it needs the option 'path'" in lines
    assert any(line.endswith(" 0 failed") for line in lines)


def test_check_names_what_is_broken_and_goes_on(kaz, broken_plugin, twins, install_plugin, monkeypatch):
    every = Registry.entries  # the first-party ones have a test of their own, and take a minute
    monkeypatch.setattr(
        Registry, "entries", lambda self: [entry for entry in every(self) if entry.package != "keras-azure"]
    )
    entry_points = {
        "models": "good = kaz_good:good\nbad = kaz_good:bad\nleaves = kaz_good:leaves",
        "datasets": "zz = kaz_good:needs",
    }
    install_plugin("kaz-good", entry_points, GOOD)
    install_plugin("kaz-quits", {"models": "quits = kaz_quits:net"}, "import sys\nsys.exit(0)")
    code, out, _ = kaz("check")
    assert code == 1
    lines = out.splitlines()
    assert "ok      model good" in lines
    assert "loaded  data set zz: it needs the option 'path'" in lines
    for name, line in {
        "broken": "failed  model broken (kaz_broken:net in the package kaz-broken)",
        "quits": "failed  model quits (kaz_quits:net in the package kaz-quits)",
        "bad": "failed  model bad (kaz_good:bad in the package kaz-good)",
        "leaves": "failed  model leaves (kaz_good:leaves in the package kaz-good)",
        "twin": "failed  model twin (kaz_one:net and kaz_two:net in the package kaz-one and kaz-two)",
    }.items():
        assert line in lines, name
    for reason in (
        "RuntimeError: no luck",
        "SystemExit: 0",
        "SystemExit: 3",
        "it is compiled; expected a model that is not",
        "'twin' is claimed by kaz-one and kaz-two.",
    ):
        assert reason in out
    assert lines[-1].endswith(" 5 failed")


def test_check_one_name_as_json(kaz, good_plugin):
    code, out, err = kaz("check", "good", "--json")
    assert code == 0
    expected = {"kind": "model", "name": "good", "package": "kaz-good", "target": "kaz_good:good"}
    assert json.loads(out) == [{**expected, "outcome": "ok", "reason": ""}]
    assert "built" in err  # what the plugin prints is not among the reports


def test_check_with_options(kaz, good_plugin):
    assert kaz("check", "good(units=2)")[0] == 0
    code, out, _ = kaz("check", "good(units=many)")
    assert code == 1
    assert "cannot be 'many'" in out


def test_check_an_unknown_name(kaz):
    code, out, err = kaz("check", "cn")
    assert (code, out) == (2, "")
    assert "Did you mean 'cnn'?" in err


def test_the_command_as_a_process(kaz_process, broken_plugin):
    command = [*kaz_process, "check", "broken"]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 1
    assert checked.stdout == textwrap.dedent(
        """\
        failed  model broken (kaz_broken:net in the package kaz-broken)
                The model 'broken' cannot be loaded (kaz_broken:net in the package kaz-broken): RuntimeError: no luck
                Try: repair or remove the package: pip uninstall kaz-broken
        1 checked: 0 ok, 0 loaded, 1 failed
        """
    )
    assert checked.stderr == ""


def test_show_tells_what_is_fused(kaz):
    code, out, _ = kaz("show", "--augment", "chapter", "--augment", "zoom", "--augment", "hue", "--augment", "noise")
    assert code == 0
    lines = out.splitlines()
    assert lines[1].split()[0] == "geometric"
    assert lines[1].endswith("rotate of chapter + shift of chapter + flip of chapter + zoom")
    assert [line.split()[0] for line in lines[2:]] == ["colour", "alone"]


def test_show_of_a_plan_as_json(kaz):
    _, out, _ = kaz("show", "--augment", "flip", "--augment", "rotate(fill='wrap')", "--json")
    assert json.loads(out) == [
        {
            "kind": "geometric",
            "how": "one map a picture, resampled once",
            "augmentations": ["flip", "rotate(fill='wrap')"],
        }
    ]


@pytest.mark.parametrize("arguments", [[], ["cnn", "--augment", "flip"]])
def test_show_takes_a_name_or_augmentations(kaz, arguments):
    code, _, err = kaz("show", *arguments)
    assert code == 2
    assert "a plugin's name, or --augment" in err


def test_show_a_model_whose_weights_would_be_downloaded(kaz, monkeypatch):
    monkeypatch.setattr("keras.src.applications.resnet.file_utils.get_file", lambda *_, **__: 1 / 0)
    code, out, _ = kaz("show", "resnet50", "--input-shape", "224", "224", "3", "--json")
    assert code == 0
    (shown,) = json.loads(out)
    assert shown["parameters"] == 23_587_712 + 527_114
    assert shown["trainable_parameters"] == 527_114


def test_show_says_which_tasks_a_model_serves(kaz):
    assert "\nTasks: classify, multilabel, regress\n" in kaz("show", "cnn")[1]
    assert "\nTasks: none, as it learns without labels\n" in kaz("show", "autoencoder")[1]
    assert json.loads(kaz("show", "cnn", "--json")[1])[0]["tasks"] == ["classify", "multilabel", "regress"]
