"""Whether the secret key lies beside the data that it seals."""

from reports.doctor import Finding, Light, Look, State


def look(at: Look) -> Finding:
    """Where this process got its key from."""
    if not at.settings.secret_key_generated:
        return Finding(State.green, "The secret key comes from outside the data directory.")
    return Finding(
        State.yellow,
        "The secret key lies in the data directory: whoever copies that can open every stored password.",
        "Move secret.key to another place, or a password safe, and name it.",
        command="TOCSIN_SECRET_KEY_FILE=/etc/tocsin/secret.key",
    )


light = Light("secret_key", "Secret key", 60, look)
