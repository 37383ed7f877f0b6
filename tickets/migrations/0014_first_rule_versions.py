from django.db import migrations

KEEP = """
INSERT INTO tickets_ruleversion (rule_id, number, content, at)
SELECT r.id, r.version, jsonb_build_object(
    'name', r.name, 'when', r."when", 'conditions', r.conditions, 'actions', r.actions, 'stop', r.stop,
    'after_minutes', r.after_minutes, 'business', r.business), r.updated_at
FROM tickets_rule r
"""


class Migration(migrations.Migration):
    """Rules that were there before have their present state as a version."""

    dependencies = [("tickets", "0013_rules_in_depth")]

    operations = [migrations.RunSQL(KEEP, migrations.RunSQL.noop)]
