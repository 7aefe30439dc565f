"""Set up what all unit tests share."""

from ansible.plugins.loader import init_plugin_loader

# Ansible finds plugins and collections as it does when it starts. Without it, modules that are imported after a test
# has loaded a plugin would not be found.
init_plugin_loader()
