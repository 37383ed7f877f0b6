from django.db import migrations

SEEN = """
UPDATE tickets_ticket t SET ruled_message_id = t.last_message_id
FROM (SELECT ticket_id, max(at) AS at FROM tickets_routingdecision
       WHERE ticket_id BETWEEN %(first)s AND %(last)s GROUP BY ticket_id) d
WHERE d.ticket_id = t.id AND t.status <> 'closed' AND t.last_message_id IS NOT NULL
AND NOT (t.routing_due_at IS NOT NULL AND t.last_direction = 'in' AND t.last_message_at > d.at)
AND NOT EXISTS (
    SELECT FROM tickets_outbox o JOIN tickets_event e ON e.id = (o.payload ->> 'event')::bigint
    WHERE o.kind = 'rules' AND o.state = 'queued' AND e.ticket_id = t.id AND e.kind = 'message_received')
"""
AT_ONCE = 10_000  # tickets, in a transaction of their own: intake waits for none of them for long


def see(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM tickets_ticket")
        (newest,) = cursor.fetchone()
        for first in range(1, newest + 1, AT_ONCE):
            cursor.execute(SEEN, {"first": first, "last": first + AT_ONCE - 1})


class Migration(migrations.Migration):
    """What was decided before has been seen, but for what is owed at this moment."""

    atomic = False
    dependencies = [("tickets", "0036_rules_once")]

    operations = [migrations.RunPython(see, migrations.RunPython.noop)]
