"""The record: alerts, the incidents they become, and everything people and playbooks add to them."""
