"""One module per page; web.app finds them by walking this folder and mounts each one's `router`."""
