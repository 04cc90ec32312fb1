import pytest

from kaz_azure_emulator.execution import InvalidJob, JobDescription

FOLDER = {"type": "uri_folder", "mode": "ReadOnlyMount", "url": "http://127.0.0.1/a/c/d"}


def describe(**given) -> JobDescription:
    values = {
        "name": "job",
        "command": "true",
        "code_url": None,
        "environment": {},
        "inputs": {},
        "outputs": {},
        "default_output_url": "http://127.0.0.1/a/c/o",
        "logs_url": "http://127.0.0.1/a/c",
    }
    return JobDescription(**(values | given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"command": " "}, "command is empty"),
        ({"node_count": 0}, "node_count=0"),
        ({"node_count": True}, "node_count=True"),
        ({"timeout_seconds": 0}, "timeout_seconds=0"),
        ({"inputs": {"../x": FOLDER}}, "a name is letters"),
        ({"inputs": {"x": "text"}}, "input 'x' is str"),
        ({"inputs": {"x": {"type": "literal"}}}, "input 'x' is a literal"),
        ({"inputs": {"x": FOLDER | {"type": "folder"}}}, "has type 'folder'"),
        ({"inputs": {"x": FOLDER | {"mode": "EvalMount"}}}, "has mode 'EvalMount'"),
        ({"outputs": {"x": FOLDER}}, "has mode 'ReadOnlyMount'"),
        ({"outputs": {"x": {"type": "literal", "value": "1"}}}, "has type 'literal'"),
        ({"outputs": {"x": {"type": "uri_folder"}}}, "has no url"),
        ({"distribution": {"distributionType": "Ray"}}, "distributionType is 'Ray'"),
        ({"distribution": {"distributionType": "Mpi", "processCountPerInstance": 0}}, "processCountPerInstance=0"),
        ({"distribution": {"distributionType": "TensorFlow", "workerCount": 2}}, "workerCount=2 on 1 nodes"),
    ],
)
def test_what_is_wrong_is_named(given, message):
    with pytest.raises(InvalidJob, match=message):
        describe(**given)


@pytest.mark.parametrize("text", ["[", "[]", '{"other": 1}', '{"name": "job"}', '{"command": "a", "inputs": null}'])
def test_text_that_is_no_description(text):
    with pytest.raises(InvalidJob):
        JobDescription.from_json(text)


def test_a_description_survives_json():
    made = describe(inputs={"x": FOLDER, "y": {"type": "literal", "value": 1}}, variables={"A": "b"})
    assert JobDescription.from_json(made.to_json()) == made
