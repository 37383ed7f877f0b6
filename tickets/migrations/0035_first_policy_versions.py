from django.db import migrations

KEEP = """
INSERT INTO tickets_slapolicyversion (policy_id, number, content, at)
SELECT p.id, p.version, jsonb_build_object(
    'name', p.name, 'conditions', p.conditions, 'calendar_id', p.calendar_id, 'warn_percents', to_jsonb(p.warn_percents),
    'pauses_in', to_jsonb(p.pauses_in), 'first_reply_from', p.first_reply_from, 'targets', COALESCE(
        (SELECT jsonb_agg(jsonb_build_array(t.metric, t.priority, t.seconds, t.business) ORDER BY t.metric, t.priority)
         FROM tickets_slatarget t WHERE t.policy_id = p.id), '[]'::jsonb)), now()
FROM tickets_slapolicy p
"""


class Migration(migrations.Migration):
    """Policies that were there before have their present state as a version."""

    dependencies = [("tickets", "0034_policy_versions_and_trials_seen")]

    operations = [migrations.RunSQL(KEEP, "DELETE FROM tickets_slapolicyversion")]
