"""Why a day can't be scored."""


class BatchFailed(Exception):
    """A run that changes nothing; the message is for people, holds no value of the data, and is redacted where it is shown.

    ``again`` says whether the same run may go better later: it may when data is late or a store does not answer, it may not
    when the same version meets the same input.
    """

    def __init__(self, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.again = again
