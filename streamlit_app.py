"""Entry of the app: page configuration and navigation, nothing else."""

from pages.parts.navigation import configure, navigation

configure()
navigation().run()
