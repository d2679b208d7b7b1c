"""What the journal says about people coming in and what they may do."""

from core.journal import declare

USER_CREATED = declare("user.created", "added a user")
USER_CHANGED = declare("user.changed", "changed a user")
ADDRESS_CHANGED = declare("user.address_changed", "changed a user's e-mail address")
USER_DISABLED = declare("user.disabled", "disabled a user")
USER_ENABLED = declare("user.enabled", "enabled a user again")
PASSWORD_SET = declare("user.password_set", "set a password")
SIGNED_IN = declare("session.started", "signed in")
SIGNED_OUT = declare("session.ended", "signed out")
SIGN_IN_FAILED = declare("session.refused", "failed to sign in")
TOKEN_CREATED = declare("token.created", "made an API token")
TOKEN_REVOKED = declare("token.revoked", "revoked an API token")
FACTOR_ADDED = declare("factor.added", "added a second factor")
FACTOR_REMOVED = declare("factor.removed", "removed a second factor")
FACTOR_RESET = declare("factor.reset", "took somebody's second factors away")
FACTOR_SHOWN = declare("factor.shown", "showed a second factor again")
FACTOR_REFUSED = declare("factor.refused", "failed to show a second factor")
RECOVERY_MADE = declare("factor.recovery_made", "made new recovery codes")
RECOVERY_USED = declare("factor.recovery_used", "used a recovery code")
