"""How a job ends before its time. Both stay inside this package: `run_job` makes a `JobOutcome` of them."""


class JobFailed(Exception):
    """The job failed: `code` is Azure's word for the kind, `message` what its user reads."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


class JobCanceled(Exception):
    """The job was canceled while it was being prepared."""
