"""The table of scenarios, in the order they are played."""
import scenarios_client
import scenarios_kill
import scenarios_registry
import scenarios_restart
import scenarios_scale
import scenarios_upgrade

ALL = [*scenarios_scale.ALL, *scenarios_kill.ALL, *scenarios_registry.ALL, *scenarios_restart.ALL, *scenarios_upgrade.ALL,
       *scenarios_client.ALL]
