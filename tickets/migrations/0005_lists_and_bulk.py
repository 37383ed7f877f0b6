import datetime

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

# `next_due_at` follows the clocks whoever writes them: a promise is started, moved, paused and ended in several places.
TRIGGER = """
CREATE FUNCTION tickets_note_next_due() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_ticket bigint := CASE WHEN TG_OP = 'DELETE' THEN OLD.ticket_id ELSE NEW.ticket_id END;
    due timestamptz;
BEGIN
    SELECT min(due_at) INTO due FROM tickets_slaclock WHERE ticket_id = of_ticket AND state = 'running';
    UPDATE tickets_ticket SET next_due_at = due WHERE id = of_ticket AND next_due_at IS DISTINCT FROM due;
    RETURN NULL;
END $$;
CREATE TRIGGER note_next_due AFTER INSERT OR DELETE OR UPDATE OF state, due_at ON tickets_slaclock
    FOR EACH ROW EXECUTE FUNCTION tickets_note_next_due();
UPDATE tickets_ticket t SET next_due_at = c.due FROM (
    SELECT ticket_id, min(due_at) AS due FROM tickets_slaclock WHERE state = 'running' GROUP BY ticket_id) c
 WHERE c.ticket_id = t.id;
"""
WITHOUT = "DROP TRIGGER note_next_due ON tickets_slaclock; DROP FUNCTION tickets_note_next_due();"


class Migration(migrations.Migration):
    """Lists in the order in which work is due, views that people keep, and deeds on many tickets at once."""

    dependencies = [
        ("agents", "0001_first"),
        ("tickets", "0004_pausing_clocks"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BulkJob",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("do", models.CharField(max_length=20)),
                ("value", models.JSONField(default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[("running", "Running"), ("done", "Done")], default="running", max_length=7
                    ),
                ),
                ("stopped", models.BooleanField(default=False)),
                ("total", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("finished_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="BulkRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("done", "Done"),
                            ("unchanged", "Unchanged"),
                            ("failed", "Failed"),
                            ("skipped", "Skipped"),
                        ],
                        default="pending",
                        max_length=9,
                    ),
                ),
                ("error", models.CharField(blank=True, default="", max_length=300)),
                (
                    "event_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), default=list, size=None
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60, verbose_name="name")),
                (
                    "scope",
                    models.CharField(
                        choices=[("personal", "Only me"), ("team", "My team"), ("shared", "Everybody")],
                        default="personal",
                        max_length=8,
                    ),
                ),
                ("query", models.CharField(blank=True, default="", max_length=500)),
                ("sort", models.CharField(blank=True, default="", max_length=20)),
                ("hue", models.PositiveSmallIntegerField(default=0)),
                ("position", models.PositiveIntegerField(default=0)),
                ("number", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.RemoveIndex(
            model_name="ticket",
            name="unsolved_of_assignee",
        ),
        migrations.RemoveIndex(
            model_name="ticket",
            name="unsolved_of_team",
        ),
        migrations.AddField(
            model_name="ticket",
            name="next_due_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.RunSQL(TRIGGER, WITHOUT),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                django.db.models.functions.comparison.Coalesce(
                    models.F("next_due_at"),
                    models.Value(
                        datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.UTC),
                        output_field=models.DateTimeField(),
                    ),
                ),
                django.db.models.functions.comparison.Coalesce(
                    models.F("waiting_since"),
                    models.Value(
                        datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.UTC),
                        output_field=models.DateTimeField(),
                    ),
                ),
                models.F("id"),
                condition=models.Q(
                    ("merged_into__isnull", True), ("status__in", ("new", "open", "pending", "on_hold"))
                ),
                name="queue",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("assignee"),
                django.db.models.functions.comparison.Coalesce(
                    models.F("next_due_at"),
                    models.Value(
                        datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.UTC),
                        output_field=models.DateTimeField(),
                    ),
                ),
                django.db.models.functions.comparison.Coalesce(
                    models.F("waiting_since"),
                    models.Value(
                        datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.UTC),
                        output_field=models.DateTimeField(),
                    ),
                ),
                models.F("id"),
                condition=models.Q(
                    ("merged_into__isnull", True), ("status__in", ("new", "open", "pending", "on_hold"))
                ),
                name="queue_of_assignee",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                models.F("team"),
                django.db.models.functions.comparison.Coalesce(
                    models.F("next_due_at"),
                    models.Value(
                        datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.UTC),
                        output_field=models.DateTimeField(),
                    ),
                ),
                django.db.models.functions.comparison.Coalesce(
                    models.F("waiting_since"),
                    models.Value(
                        datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.UTC),
                        output_field=models.DateTimeField(),
                    ),
                ),
                models.F("id"),
                condition=models.Q(
                    ("merged_into__isnull", True), ("status__in", ("new", "open", "pending", "on_hold"))
                ),
                name="queue_of_team",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(
                django.db.models.expressions.CombinedExpression(models.F("priority"), "*", models.Value(-1)),
                django.db.models.functions.comparison.Coalesce(
                    models.F("next_due_at"),
                    models.Value(
                        datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.UTC),
                        output_field=models.DateTimeField(),
                    ),
                ),
                django.db.models.functions.comparison.Coalesce(
                    models.F("waiting_since"),
                    models.Value(
                        datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.UTC),
                        output_field=models.DateTimeField(),
                    ),
                ),
                models.F("id"),
                condition=models.Q(
                    ("merged_into__isnull", True), ("status__in", ("new", "open", "pending", "on_hold"))
                ),
                name="queue_by_priority",
            ),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="agent",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="undoes",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="undone_by", to="tickets.bulkjob"
            ),
        ),
        migrations.AddField(
            model_name="bulkrow",
            name="job",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="rows", to="tickets.bulkjob"
            ),
        ),
        migrations.AddField(
            model_name="bulkrow",
            name="ticket",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tickets.ticket"),
        ),
        migrations.AddField(
            model_name="savedview",
            name="owner",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="savedview",
            name="team",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="agents.team"
            ),
        ),
        migrations.AddIndex(
            model_name="bulkjob",
            index=models.Index(condition=models.Q(("state", "running")), fields=["id"], name="bulk_job_running"),
        ),
        migrations.AddIndex(
            model_name="bulkrow",
            index=models.Index(condition=models.Q(("state", "pending")), fields=["job", "id"], name="bulk_row_pending"),
        ),
        migrations.AddIndex(
            model_name="bulkrow",
            index=models.Index(fields=["job", "state"], name="bulk_row_by_state"),
        ),
        migrations.AddConstraint(
            model_name="bulkrow",
            constraint=models.UniqueConstraint(fields=("job", "ticket"), name="one_bulk_row_each"),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("scope", "team"), ("team__isnull", False)),
                    models.Q(models.Q(("scope", "team"), _negated=True), ("team__isnull", True)),
                    _connector="OR",
                ),
                name="view_of_a_team_has_one",
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__isnull", True), ("number__range", (1, 9)), _connector="OR"),
                name="view_number_1_to_9",
            ),
        ),
    ]
