from django.db import migrations

# What was merged before rests from its merge on; taken apart, it goes on.
REST = """
UPDATE tickets_slaclock c SET state = 'cancelled', ended_at = e.at
  FROM tickets_ticket t, LATERAL (
      SELECT max(at) AS at FROM tickets_event WHERE ticket_id = t.id AND kind = 'merged' AND particulars ? 'into') e
 WHERE c.ticket_id = t.id AND t.merged_into_id IS NOT NULL AND c.state IN ('running', 'paused') AND e.at IS NOT NULL;
UPDATE tickets_slasegment s SET ends_at = greatest(s.starts_at, c.ended_at)
  FROM tickets_slaclock c WHERE c.id = s.clock_id AND s.ends_at IS NULL AND c.ended_at IS NOT NULL;
DELETE FROM tickets_slawarning w USING tickets_slaclock c
 WHERE c.id = w.clock_id AND w.fired_at IS NULL AND c.ended_at IS NOT NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("tickets", "0041_decision_inputs")]

    operations = [migrations.RunSQL(REST, migrations.RunSQL.noop)]
