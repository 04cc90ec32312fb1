import datetime
import json
from importlib import metadata

import pytest

pytestmark = pytest.mark.slow

HERE = ["engine", "plugins"]
NAMES = [
    *HERE,
    *("packages", "versions", "config", "login", "workspace", "size", "quota", "cluster", "storage"),
    *("environment", "clock"),
]
T4 = "Standard_NC4as_T4_v3"


@pytest.fixture(autouse=True)
def _healed(azure_emulator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    azure_emulator.clear_faults()
    azure_emulator.set_storage(reachable=True)
    azure_emulator.set_size(T4)
    azure_emulator.set_quota("standardNCASv3_T4Family", 1000)


def examined(kaz, *arguments: str, code: int = 1) -> dict[str, dict]:
    """The checks by name."""
    found, out, err = kaz("doctor", "--json", *arguments)
    assert (found, err) == (code, "")
    checks = json.loads(out)
    subjects = {check["name"]: check["subject"] for check in checks}
    assert all((subject == "this machine") is (name in HERE) for name, subject in subjects.items())
    assert len(set(subjects.values())) == 2
    assert [check["name"] for check in checks] == NAMES
    assert all(bool(check["mend"]) is (check["state"] == "failed") for check in checks)
    return {check["name"]: check for check in checks}


def states(checks: dict[str, dict], state: str) -> list[str]:
    return [name for name, check in checks.items() if check["state"] == state]


def test_all_is_well(kaz, azure_emulator):
    code, out, err = kaz("doctor")
    assert (code, err) == (0, "")
    lines = {line.split()[1]: line for line in out.splitlines() if not line.endswith(":")}
    assert list(lines) == NAMES
    assert all(line.startswith("ok ") for line in lines.values())
    assert "mlflow 3." in lines["versions"]
    assert "from AZURE_SUBSCRIPTION_ID and AZURE_DEFAULTS_GROUP" in lines["config"]
    assert azure_emulator.settings.client_id in lines["login"]
    assert "in westus2" in lines["workspace"]
    assert f"{T4} is offered in westus2" in lines["size"]
    assert "1000 cores of standardNCASv3_T4Family, 0 in use" in lines["quota"]
    assert "kaz-nc4as-t4-v3 is not there; the first run creates it" in lines["cluster"]
    assert "workspaceblobstore" in lines["storage"]
    assert "Python 3." in lines["environment"]


def test_a_retired_size_and_no_cluster(kaz):
    checks = examined(kaz, "--backend", "azure-nc6(serverless=True)", code=0)
    assert "Azure retired Standard_NC6 on 2023-08-31" in checks["size"]["found"]
    assert checks["cluster"]["found"] == "none is needed: serverless"


def test_no_login(kaz, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong")
    checks = examined(kaz)
    assert states(checks, "failed") == ["login"]
    assert checks["login"]["mend"].startswith("az login")
    assert states(checks, "skipped") == ["workspace", "size", "quota", "cluster", "storage"]
    assert checks["size"]["found"] == "needs workspace"
    out = kaz("doctor")[1]
    [line] = [line for line in out.splitlines() if line.startswith("FAIL")]
    assert line.endswith(f"Try: {checks['login']['mend']}")


def test_no_workspace_is_named(kaz, monkeypatch):
    for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_DEFAULTS_GROUP", "AZURE_DEFAULTS_WORKSPACE"):
        monkeypatch.delenv(name)
    checks = examined(kaz)
    assert states(checks, "failed") == ["config"]
    assert checks["config"]["mend"] == "kaz init"
    assert "login" in states(checks, "skipped")


def test_another_workspace(kaz, azure_emulator):
    settings = azure_emulator.settings
    checks = examined(kaz, "--workspace", f"{settings.subscription_id}/{settings.resource_group}/elsewhere")
    assert states(checks, "failed") == ["workspace"]
    assert "elsewhere" in checks["workspace"]["found"]
    assert checks["workspace"]["mend"] == "kaz init --force"


def test_no_role(kaz, azure_emulator):
    azure_emulator.fault("workspaces.get", status=403, message="No role here.", times=None)
    checks = examined(kaz)
    assert states(checks, "failed") == ["workspace"]
    assert checks["workspace"]["mend"].startswith("az login with an account that has the role")
    assert "kaz doctor" not in checks["workspace"]["mend"]


def test_no_quota(kaz, azure_emulator):
    azure_emulator.set_quota("standardNCASv3_T4Family", 0)
    checks = examined(kaz)
    assert states(checks, "failed") == ["quota"]
    assert "is 0 cores" in checks["quota"]["found"]
    assert "https://ml.azure.com/quota?wsid=" in checks["quota"]["mend"]


def test_a_size_that_is_not_offered(kaz, azure_emulator):
    azure_emulator.set_size(T4, offered=False)
    checks = examined(kaz)
    assert states(checks, "failed") == ["size"]
    assert f"{T4} is not offered in westus2" in checks["size"]["found"]
    assert checks["size"]["mend"].startswith("kaz sizes --available")


def test_storage_away(kaz, azure_emulator):
    azure_emulator.set_storage(reachable=False)
    checks = examined(kaz)
    assert states(checks, "failed") == ["storage"]


def test_a_cluster_of_other_machines(kaz, azure_emulator):
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import AmlCompute
    from azure.identity import EnvironmentCredential

    client = MLClient.from_config(EnvironmentCredential(), path=azure_emulator.state_folder / "config.json")
    client.compute.begin_create_or_update(AmlCompute(name="mine", size="Standard_DS3_v2", max_instances=2)).result()
    checks = examined(kaz, "--backend", "azure-nc4as-t4-v3(cluster='mine')")
    assert states(checks, "failed") == ["cluster"]
    assert "Standard_DS3_v2" in checks["cluster"]["found"].replace("STANDARD_DS3_V2", "Standard_DS3_v2")


def test_a_clock_that_is_wrong(kaz, monkeypatch):
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=20)
    monkeypatch.setattr("keras_azure.backends.azure.doctor._now", lambda: later)
    checks = examined(kaz)
    assert states(checks, "failed") == ["clock"]
    assert "20 minutes ahead of Azure's" in checks["clock"]["found"]
    assert checks["clock"]["mend"] == "sudo timedatectl set-ntp true"


def test_packages_that_do_not_go_together(kaz, monkeypatch):
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "3.16.0" if name == "mlflow" else version(name))
    checks = examined(kaz)
    assert states(checks, "failed") == ["versions"]
    assert "mlflow 3.16.0" in checks["versions"]["found"]
    assert checks["versions"]["mend"] == "pip install --upgrade 'keras-azure[azure]'"


def test_a_package_that_is_missing(kaz, monkeypatch):
    version = metadata.version

    def found(name: str) -> str:
        if name == "azureml-mlflow":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", found)
    checks = examined(kaz)
    assert "packages" in states(checks, "failed")
    assert checks["packages"]["found"] == "Not installed: azureml-mlflow."
    assert "versions" in states(checks, "skipped")


@pytest.mark.parametrize(("backend", "said"), [("local", "The backend local has nothing"), ("azure-nc7", "'nc7'")])
def test_a_backend_that_cannot_be_examined(kaz, backend, said):
    code, out, err = kaz("doctor", "--backend", backend)
    assert (code, out) == (2, "")
    assert said in err
