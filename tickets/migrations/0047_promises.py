import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# A promise moves with a merge: the deadline of the ticket that it leaves changes too.
TRIGGER = """
CREATE OR REPLACE FUNCTION tickets_note_next_due() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tickets_ticket t SET next_due_at = c.due FROM (
        SELECT of.id, min(due_at) AS due FROM (VALUES (OLD.ticket_id), (NEW.ticket_id)) of (id)
          LEFT JOIN tickets_slaclock ON ticket_id = of.id AND state = 'running' GROUP BY of.id) c
     WHERE t.id = c.id AND t.next_due_at IS DISTINCT FROM c.due;
    RETURN NULL;
END $$;
DROP TRIGGER note_next_due ON tickets_slaclock;
CREATE TRIGGER note_next_due AFTER INSERT OR DELETE OR UPDATE OF state, due_at, ticket_id ON tickets_slaclock
    FOR EACH ROW EXECUTE FUNCTION tickets_note_next_due();
"""
BEFORE = """
CREATE OR REPLACE FUNCTION tickets_note_next_due() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_ticket bigint := CASE WHEN TG_OP = 'DELETE' THEN OLD.ticket_id ELSE NEW.ticket_id END;
    due timestamptz;
BEGIN
    SELECT min(due_at) INTO due FROM tickets_slaclock WHERE ticket_id = of_ticket AND state = 'running';
    UPDATE tickets_ticket SET next_due_at = due WHERE id = of_ticket AND next_due_at IS DISTINCT FROM due;
    RETURN NULL;
END $$;
DROP TRIGGER note_next_due ON tickets_slaclock;
CREATE TRIGGER note_next_due AFTER INSERT OR DELETE OR UPDATE OF state, due_at ON tickets_slaclock
    FOR EACH ROW EXECUTE FUNCTION tickets_note_next_due();
"""


class Migration(migrations.Migration):
    """What agents promise customers, each with a clock; several may run at a time."""

    dependencies = [
        ('agents', '0012_solve_opens_next'),
        ('tickets', '0001_squashed_0046_webhook_answered'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Promise',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.CharField(max_length=200)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='slaclock',
            name='one_live_clock',
        ),
        migrations.AlterField(
            model_name='slaclock',
            name='metric',
            field=models.CharField(choices=[('first_reply', 'First reply'), ('next_reply', 'Next reply'), ('periodic_update', 'Periodic update'), ('resolution', 'Resolution'), ('team', 'Team’s turn'), ('promise', 'Promise to the customer')], max_length=20),
        ),
        migrations.AddConstraint(
            model_name='slaclock',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['running', 'paused']), models.Q(('metric', 'promise'), _negated=True)), fields=('ticket', 'metric'), name='one_live_clock'),
        ),
        migrations.AddField(
            model_name='promise',
            name='clock',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='promise', to='tickets.slaclock'),
        ),
        migrations.AddField(
            model_name='promise',
            name='owner',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='promises', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='promise',
            name='ticket',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='promises', to='tickets.ticket'),
        ),
        migrations.AddConstraint(
            model_name='promise',
            constraint=models.CheckConstraint(condition=models.Q(('text', ''), _negated=True), name='promise_says_what'),
        ),
        migrations.RunSQL(TRIGGER, BEFORE),
    ]
