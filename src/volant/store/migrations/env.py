"""Run by alembic: migrations take place in the transaction that the store has begun."""

from alembic import context

from volant.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
