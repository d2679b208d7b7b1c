"""What the journal says about Tocsin's own work."""

from core.journal import declare

WORK_REPLAYED = declare("work.replayed", "had stuck work tried again")
KEY_CHANGED = declare("journal.key_changed", "began to sign checkpoints with another key")
WITNESSED = declare("journal.witnessed", "had a checkpoint kept by a witness")
BACKUP_MADE = declare("backup.made", "made a backup of everything")
BACKUP_RESTORED = declare("backup.restored", "restored everything from a backup")
FORGOTTEN = declare("retention.forgotten", "forgot what was old enough")
SETTING_CHANGED = declare("setting.changed", "changed a setting of this installation")
SETTING_TRIED = declare("setting.tried", "tried a setting of this installation out")
