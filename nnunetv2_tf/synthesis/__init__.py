"""From a recipe to finished cases: the only folder that knows methods and native images both."""
