"""Set up what all unit tests share."""

from ansible.plugins.loader import init_plugin_loader

# Ansible finds collections by itself from then on. Once one test has loaded a plugin, modules that are imported later
# would not be found without it.
init_plugin_loader()
