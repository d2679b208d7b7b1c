"""What every test may ask for: a real database on both engines, a clock, real mail, LDAP and Redis servers."""

pytest_plugins = ["tables_ready", "held_time", "real_servers", "running_tocsin"]
