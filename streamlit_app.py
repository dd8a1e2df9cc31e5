"""Entry of the app: page configuration and navigation, nothing else."""

from pages.ui.navigation import configure, navigation

configure()
navigation().run()
