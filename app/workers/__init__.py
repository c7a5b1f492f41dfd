"""Lab actors: worker processes that hold many labs each, and the pool that keeps them alive."""
