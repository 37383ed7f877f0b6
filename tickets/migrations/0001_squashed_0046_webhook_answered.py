import datetime
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.operations
import django.contrib.postgres.search
import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.comparison
import django.db.models.functions.datetime
import django.db.models.functions.text
import tickets.models.message
import tickets.secrets
import uuid
from django.conf import settings
from django.db import migrations, models

# Human ticket numbers come from a sequence of their own: no lock, no double.
NUMBERS = "CREATE SEQUENCE ticket_number AS bigint START 1001"

# `next_due_at` follows the clocks whoever writes them: a promise is started, moved, paused and ended in several places.
NEXT_DUE = """
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
"""
NO_NEXT_DUE = "DROP TRIGGER note_next_due ON tickets_slaclock; DROP FUNCTION tickets_note_next_due();"

# Runs of syllables and signs that are written without spaces are indexed by their pairs; every other run is a word.
# Marks over Latin letters fall away; half-width, full-width and decomposed forms become one.
LEXEMES = r"""
CREATE FUNCTION search_plain(words text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN w ~ '^[\x01-\x7f]*$' THEN w
                ELSE normalize(regexp_replace(normalize(w, NFKD), '[\u0300-\u036f]', '', 'g'), NFC) END
      FROM (SELECT lower(left(words, 50000)) AS w) one
$$;
CREATE FUNCTION search_pairs(run text) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT substr(run, n, 2) FROM generate_series(1, greatest(length(run) - 1, 1)) n
$$;
CREATE FUNCTION search_lexemes(words text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(DISTINCT lexeme)
      FROM (SELECT search_plain(words) AS plain) one,
           LATERAL (
             SELECT lexeme
               FROM regexp_matches(plain, '[぀-ヿㇰ-ㇿㄱ-ㆎ㐀-䶿一-鿿가-힣々]{1,64}', 'g') run,
                    LATERAL search_pairs(run[1]) lexeme
              WHERE plain ~ '[぀-ヿㇰ-ㇿㄱ-ㆎ㐀-䶿一-鿿가-힣々]'
             UNION ALL
             SELECT coalesce((ts_lexize('pg_catalog.english_stem', left(run[1], 60)))[1], left(run[1], 60))
               FROM regexp_matches(plain, '[0-9a-zªµºß-öø-῿]+', 'g') run
             UNION ALL
             SELECT digits
               FROM regexp_matches(plain, '[0-9][0-9 ().-]{5,18}[0-9]', 'g') run,
                    LATERAL regexp_replace(run[1], '[^0-9]', '', 'g') digits
              WHERE length(digits) BETWEEN 7 AND 15
           ) found
$$;
"""

# A word as it is asked for: all its pairs; or its stem. `AS prefix` also finds the words that begin with it.
QUERIES = r"""
CREATE FUNCTION search_query(words text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(string_agg('''' || lexeme || '''', ' & '), '')::tsquery FROM unnest(search_lexemes(words)) lexeme
$$;
CREATE FUNCTION search_prefix(words text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(
             CASE WHEN length(run[1]) > 1 AND run[1] ~ '^[぀-ヿㇰ-ㇿㄱ-ㆎ㐀-䶿一-鿿가-힣々]' THEN search_query(run[1])::text
                  WHEN search_query(run[1])::text = '' THEN '''' || run[1] || ''':*'
                  ELSE '(' || search_query(run[1])::text || ' | ''' || run[1] || ''':*)' END, ' & '), '')::tsquery
      FROM regexp_matches(
             search_plain(words), '[぀-ヿㇰ-ㇿㄱ-ㆎ㐀-䶿一-鿿가-힣々]{1,64}|[0-9a-zªµºß-öø-῿]{1,60}', 'g') run
$$;
"""

# What is found with every message of a ticket: its number and subject, and the customer with all addresses. A phone number
# is also found by its last eight and its last four digits, as people ask for it. A word that an agent's marks divide ("re**fund**") is found whole as well.
ENTRIES = r"""
CREATE FUNCTION search_root(ticket bigint) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH RECURSIVE up(id, into_id) AS (
        SELECT id, merged_into_id FROM tickets_ticket WHERE id = ticket
        UNION
        SELECT t.id, t.merged_into_id FROM tickets_ticket t JOIN up ON t.id = up.into_id
    ) SELECT id FROM up WHERE into_id IS NULL
$$;
CREATE FUNCTION search_addresses(person bigint) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT string_agg(value || CASE WHEN value ~ '^\+[0-9]{7,15}$' THEN ' ' || right(value, 8) || ' ' || right(value, 4) ELSE '' END, ' ')
      FROM tickets_identity WHERE customer_id = person
$$;
CREATE FUNCTION search_index(messages bigint[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO tickets_searchentry (message_id, ticket_id, words)
    SELECT m.id, CASE WHEN t.merged_into_id IS NULL THEN t.id ELSE search_root(t.id) END,
           array_to_tsvector(
             coalesce(search_lexemes(concat_ws(E'\n', t.number, t.subject, c.name, c.organisation, search_addresses(c.id),
               m.subject, m.author_name, m.author_address, m.text,
               CASE WHEN m.agent_id IS NOT NULL AND m.text ~ '\*\*|_' THEN replace(replace(m.text, '**', ''), '_', '') END)), '{}')
             || ARRAY['@10:' || (m.id >> 10), '@14:' || (m.id >> 14), '@18:' || (m.id >> 18)])
      FROM tickets_message m
      JOIN tickets_ticket t ON t.id = m.ticket_id
      JOIN tickets_customer c ON c.id = t.customer_id
     WHERE m.id = ANY (messages) AND m.kind <> 'system' AND m.deleted_at IS NULL
        ON CONFLICT (message_id) DO UPDATE SET ticket_id = excluded.ticket_id, words = excluded.words;
$$;
"""

# Written by the database itself: correct for bulk SQL, edits and deletes, whoever makes them.
TRIGGERS = r"""
CREATE FUNCTION search_messages_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_index(ARRAY(SELECT id FROM came));
    RETURN NULL;
END $$;
CREATE FUNCTION search_message_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.deleted_at IS NOT NULL OR NEW.kind = 'system' THEN
        DELETE FROM tickets_searchentry WHERE message_id = OLD.id;
    ELSE
        PERFORM search_index(ARRAY[NEW.id]);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION search_ticket_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_index(ARRAY(
        WITH RECURSIVE family(id) AS (
            VALUES (NEW.id) UNION SELECT t.id FROM tickets_ticket t JOIN family ON t.merged_into_id = family.id)
        SELECT m.id FROM tickets_message m JOIN family ON m.ticket_id = family.id));
    RETURN NULL;
END $$;
CREATE FUNCTION search_customer_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_index(ARRAY(
        SELECT m.id FROM tickets_message m JOIN tickets_ticket t ON t.id = m.ticket_id WHERE t.customer_id = NEW.id));
    RETURN NULL;
END $$;
CREATE FUNCTION search_identity_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM search_index(ARRAY(
        SELECT m.id FROM tickets_message m JOIN tickets_ticket t ON t.id = m.ticket_id
         WHERE (TG_OP <> 'DELETE' AND t.customer_id = NEW.customer_id) OR (TG_OP <> 'INSERT' AND t.customer_id = OLD.customer_id)));
    RETURN NULL;
END $$;
CREATE TRIGGER search_came AFTER INSERT ON tickets_message
    REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION search_messages_came();
CREATE TRIGGER search_changed AFTER UPDATE ON tickets_message FOR EACH ROW
    WHEN ((OLD.ticket_id, OLD.kind, OLD.subject, OLD.author_name, OLD.author_address, OLD.text, OLD.deleted_at)
          IS DISTINCT FROM
          (NEW.ticket_id, NEW.kind, NEW.subject, NEW.author_name, NEW.author_address, NEW.text, NEW.deleted_at))
    EXECUTE FUNCTION search_message_changed();
CREATE TRIGGER search_gone AFTER DELETE ON tickets_message FOR EACH ROW EXECUTE FUNCTION search_message_changed();
CREATE TRIGGER search_changed AFTER UPDATE ON tickets_ticket FOR EACH ROW
    WHEN ((OLD.number, OLD.subject, OLD.customer_id, OLD.merged_into_id)
          IS DISTINCT FROM (NEW.number, NEW.subject, NEW.customer_id, NEW.merged_into_id))
    EXECUTE FUNCTION search_ticket_changed();
CREATE TRIGGER search_changed AFTER UPDATE ON tickets_customer FOR EACH ROW
    WHEN ((OLD.name, OLD.organisation) IS DISTINCT FROM (NEW.name, NEW.organisation))
    EXECUTE FUNCTION search_customer_changed();
CREATE TRIGGER search_came AFTER INSERT OR DELETE ON tickets_identity FOR EACH ROW
    EXECUTE FUNCTION search_identity_changed();
CREATE TRIGGER search_changed AFTER UPDATE ON tickets_identity FOR EACH ROW
    WHEN ((OLD.value, OLD.customer_id) IS DISTINCT FROM (NEW.value, NEW.customer_id))
    EXECUTE FUNCTION search_identity_changed();
"""

GONE = """
DROP TRIGGER search_came ON tickets_message;
DROP TRIGGER search_changed ON tickets_message;
DROP TRIGGER search_gone ON tickets_message;
DROP TRIGGER search_changed ON tickets_ticket;
DROP TRIGGER search_changed ON tickets_customer;
DROP TRIGGER search_came ON tickets_identity;
DROP TRIGGER search_changed ON tickets_identity;
DROP FUNCTION search_messages_came, search_message_changed, search_ticket_changed, search_customer_changed,
    search_identity_changed, search_index, search_addresses, search_root, search_prefix, search_query, search_lexemes,
    search_pairs, search_plain;
"""


class Migration(migrations.Migration):
    """All tables as they were before promises. A database that stopped somewhere among those that this replaces has to be
    brought to the last of them by the release that had it."""

    initial = True

    replaces = [
        ('tickets', '0001_first'),
        ('tickets', '0002_ticket_number'),
        ('tickets', '0003_lines'),
        ('tickets', '0004_pausing_clocks'),
        ('tickets', '0005_lists_and_bulk'),
        ('tickets', '0006_view_base'),
        ('tickets', '0007_pictures_of_senders'),
        ('tickets', '0008_notifications'),
        ('tickets', '0009_skills_and_offers'),
        ('tickets', '0010_search'),
        ('tickets', '0011_macros_mentions_followers'),
        ('tickets', '0012_rule_trials'),
        ('tickets', '0013_rules_in_depth'),
        ('tickets', '0014_first_rule_versions'),
        ('tickets', '0015_staffing_trials'),
        ('tickets', '0016_signatures'),
        ('tickets', '0017_recipients'),
        ('tickets', '0018_message_templates'),
        ('tickets', '0019_automatic_answers'),
        ('tickets', '0020_incidents'),
        ('tickets', '0021_sla_trials'),
        ('tickets', '0022_openings'),
        ('tickets', '0023_customer_attributes'),
        ('tickets', '0024_trials_of_sets'),
        ('tickets', '0025_team_turns'),
        ('tickets', '0026_where_promises_begin'),
        ('tickets', '0027_handoff'),
        ('tickets', '0028_side_conversations'),
        ('tickets', '0029_trials_that_stop'),
        ('tickets', '0030_view_columns'),
        ('tickets', '0031_kept_forwards'),
        ('tickets', '0032_clocks_of_merged_tickets'),
        ('tickets', '0033_formatted_answers'),
        ('tickets', '0034_policy_versions_and_trials_seen'),
        ('tickets', '0035_first_policy_versions'),
        ('tickets', '0036_rules_once'),
        ('tickets', '0037_what_rules_have_seen'),
        ('tickets', '0038_draft_way'),
        ('tickets', '0039_push'),
        ('tickets', '0040_push_as_desktop'),
        ('tickets', '0041_decision_inputs'),
        ('tickets', '0042_promises_at_rest'),
        ('tickets', '0043_indexes_once'),
        ('tickets', '0044_outbox_by_kind'),
        ('tickets', '0045_ticket_fields'),
        ('tickets', '0046_webhook_answered'),
    ]

    dependencies = [
        ('agents', '0012_solve_opens_next'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        django.contrib.postgres.operations.TrigramExtension(),
        migrations.CreateModel(
            name='Brand',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.SlugField(unique=True)),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('domain', models.CharField(blank=True, default='', max_length=253, verbose_name='mail domain')),
                ('accent', models.CharField(blank=True, default='', max_length=7, verbose_name='accent colour')),
                ('language', models.CharField(choices=[('en', 'English'), ('ko', '한국어')], default='en', max_length=2, verbose_name='language')),
            ],
        ),
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('seq', models.PositiveBigIntegerField()),
                ('direction', models.CharField(choices=[('in', 'In'), ('out', 'Out')], max_length=3)),
                ('kind', models.CharField(choices=[('public', 'Public'), ('note', 'Note'), ('side', 'Side'), ('system', 'System')], default='public', max_length=6)),
                ('author_type', models.CharField(choices=[('customer', 'Customer'), ('agent', 'Agent'), ('bot', 'Bot'), ('system', 'System'), ('other', 'Other')], max_length=8)),
                ('author_name', models.CharField(blank=True, default='', max_length=200)),
                ('author_address', models.CharField(blank=True, default='', max_length=254)),
                ('raw_event_id', models.BigIntegerField(null=True)),
                ('part', models.PositiveSmallIntegerField(null=True)),
                ('external_id', models.CharField(blank=True, default='', max_length=300)),
                ('rfc_message_id', models.CharField(blank=True, default='', max_length=998)),
                ('references', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=998), blank=True, default=list, size=None)),
                ('client_uuid', models.UUIDField(null=True, unique=True)),
                ('subject', models.CharField(blank=True, default='', max_length=300)),
                ('text', models.TextField(blank=True, default='')),
                ('quoted_text', models.TextField(blank=True, default='')),
                ('html', models.TextField(blank=True, default='')),
                ('to', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=320), blank=True, default=list, size=None)),
                ('cc', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=320), blank=True, default=list, size=None)),
                ('placeholder', models.CharField(blank=True, default='', max_length=20)),
                ('language', models.CharField(blank=True, default='', max_length=5)),
                ('automatic', models.BooleanField(default=False)),
                ('meta', models.JSONField(blank=True, default=dict)),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('sending', 'Sending'), ('sent', 'Sent'), ('delivered', 'Delivered'), ('read', 'Read'), ('failed', 'Failed'), ('uncertain', 'Unconfirmed')], max_length=9, null=True)),
                ('state_at', models.DateTimeField(null=True)),
                ('error', models.CharField(blank=True, default='', max_length=300)),
                ('sent_at', models.DateTimeField(null=True)),
                ('received_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('edited_at', models.DateTimeField(null=True)),
                ('deleted_at', models.DateTimeField(null=True)),
                ('signature', models.TextField(blank=True, db_default='', default='')),
                ('agent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('rfc_message_id', ''), _negated=True), fields=['rfc_message_id'], name='message_by_rfc_id'), models.Index(fields=['created_at'], name='message_by_time')],
                'constraints': [models.UniqueConstraint(fields=('raw_event_id', 'part'), name='message_once_per_item'), models.CheckConstraint(condition=models.Q(models.Q(('part__isnull', True), ('raw_event_id__isnull', True)), models.Q(('part__isnull', False), ('raw_event_id__isnull', False)), _connector='OR'), name='message_part_with_item')],
            },
        ),
        migrations.CreateModel(
            name='Rule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120, verbose_name='name')),
                ('position', models.PositiveIntegerField(default=0)),
                ('active', models.BooleanField(default=True, verbose_name='switched on')),
                ('when', models.CharField(choices=[('created', 'A ticket is created'), ('customer_replied', 'The customer writes again'), ('agent_replied', 'An agent answers'), ('status_changed', 'The status changes'), ('priority_changed', 'The priority changes'), ('assigned', 'The team or the assignee changes'), ('tags_changed', 'The tags change'), ('fields_changed', 'A ticket field changes'), ('sla_warning', 'An SLA deadline is near'), ('sla_breached', 'An SLA deadline has passed'), ('overdue', 'An SLA deadline stays missed'), ('rated', 'The customer answers a survey'), ('unanswered', 'The customer has waited for an answer'), ('silent', 'The customer has not answered us')], default='created', max_length=20)),
                ('conditions', models.JSONField(default=dict)),
                ('actions', models.JSONField(default=list)),
                ('stop', models.BooleanField(default=False, verbose_name='stop here')),
                ('version', models.PositiveIntegerField(default=1)),
                ('updated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('after_minutes', models.PositiveIntegerField(blank=True, null=True)),
                ('business', models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name='Tag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, unique=True)),
                ('hue', models.PositiveSmallIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='Webhook',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('url', models.URLField(max_length=500)),
                ('events', models.JSONField(default=list)),
                ('secrets', tickets.secrets.EncryptedJSONField(default=dict)),
                ('active', models.BooleanField(default=True)),
                ('failing_since', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('answered_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='ApiToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80)),
                ('sha256', models.CharField(max_length=64, unique=True)),
                ('prefix', models.CharField(max_length=12)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=20), default=list, size=None)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='api_tokens', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='BulkJob',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('do', models.CharField(max_length=20)),
                ('value', models.JSONField(default=dict)),
                ('state', models.CharField(choices=[('running', 'Running'), ('done', 'Done')], default='running', max_length=7)),
                ('stopped', models.BooleanField(default=False)),
                ('total', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('finished_at', models.DateTimeField(null=True)),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('undoes', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='undone_by', to='tickets.bulkjob')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'running')), fields=['id'], name='bulk_job_running')],
            },
        ),
        migrations.CreateModel(
            name='Channel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=20)),
                ('slug', models.SlugField(max_length=80, unique=True)),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('account_id', models.CharField(blank=True, default='', max_length=200)),
                ('app_id', models.CharField(blank=True, default='', max_length=200)),
                ('address', models.CharField(blank=True, default='', max_length=254, verbose_name='address')),
                ('settings', models.JSONField(blank=True, default=dict)),
                ('secrets', tickets.secrets.EncryptedJSONField(default=dict)),
                ('language', models.CharField(blank=True, default='', max_length=2)),
                ('active', models.BooleanField(default=True, verbose_name='switched on')),
                ('disconnected_at', models.DateTimeField(blank=True, null=True)),
                ('disconnected_reason', models.CharField(blank=True, default='', max_length=300)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('weight', models.PositiveSmallIntegerField(default=100, verbose_name='weight of a ticket')),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='channels', to='tickets.brand')),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.team')),
            ],
            options={
                'indexes': [models.Index(fields=['kind', 'account_id'], name='channel_by_account')],
            },
        ),
        migrations.CreateModel(
            name='AutomaticAnswer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('first_contact', 'First contact'), ('out_of_hours', 'Out of hours')], max_length=13)),
                ('active', models.BooleanField(default=False)),
                ('text_en', models.TextField(blank=True, default='')),
                ('text_ko', models.TextField(blank=True, default='')),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='automatic_answers', to='tickets.channel')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('channel', 'kind'), name='one_answer_of_a_kind')],
            },
        ),
        migrations.CreateModel(
            name='Customer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(blank=True, default='', max_length=200, verbose_name='name')),
                ('language', models.CharField(blank=True, default='', max_length=5, verbose_name='language')),
                ('time_zone', models.CharField(blank=True, default='', max_length=64, verbose_name='time zone')),
                ('tier', models.CharField(blank=True, choices=[('', 'Standard'), ('vip', 'VIP')], default='', max_length=20, verbose_name='tier')),
                ('organisation', models.CharField(blank=True, default='', max_length=200, verbose_name='organisation')),
                ('since', models.DateField(blank=True, null=True, verbose_name='customer since')),
                ('attributes', models.JSONField(blank=True, default=dict)),
                ('preferred_channel', models.CharField(blank=True, default='', max_length=20)),
                ('notes', models.TextField(blank=True, default='', verbose_name='notes')),
                ('blocked', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('joined_into', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.customer')),
            ],
            options={
                'indexes': [django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper('name'), name='gin_trgm_ops'), name='customer_name_part'), django.contrib.postgres.indexes.GinIndex(fields=['attributes'], name='customer_attributes', opclasses=['jsonb_path_ops'])],
            },
        ),
        migrations.CreateModel(
            name='CustomerJoin',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('identity_ids', models.JSONField(default=list)),
                ('ticket_ids', models.JSONField(default=list)),
                ('reason', models.CharField(max_length=60)),
                ('evidence', models.JSONField(default=dict)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('undone_at', models.DateTimeField(null=True)),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('joined', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.customer')),
                ('survivor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='joins', to='tickets.customer')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('survivor', models.F('joined')), _negated=True), name='join_of_two_customers')],
            },
        ),
        migrations.CreateModel(
            name='DeliveryPart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('n', models.PositiveSmallIntegerField()),
                ('text', models.TextField(blank=True, default='')),
                ('attachment_ids', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, default=list, size=None)),
                ('provider_id', models.CharField(max_length=300, null=True)),
                ('send_uuid', models.UUIDField(default=uuid.uuid4, unique=True)),
                ('rfc_message_id', models.CharField(blank=True, default='', max_length=998)),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('sending', 'Sending'), ('sent', 'Sent'), ('delivered', 'Delivered'), ('read', 'Read'), ('failed', 'Failed'), ('uncertain', 'Unconfirmed')], default='queued', max_length=9)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('next_attempt_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('lease_owner', models.UUIDField(null=True)),
                ('lease_until', models.DateTimeField(null=True)),
                ('last_error', models.CharField(blank=True, default='', max_length=300)),
                ('error_code', models.CharField(blank=True, default='', max_length=40)),
                ('resolved_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('sent_at', models.DateTimeField(null=True)),
                ('delivered_at', models.DateTimeField(null=True)),
                ('read_at', models.DateTimeField(null=True)),
                ('html', models.TextField(blank=True, db_default='', default='')),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('rfc_message_id', ''), _negated=True), fields=['rfc_message_id'], name='part_by_rfc_id'), models.Index(condition=models.Q(('state', 'queued')), fields=['next_attempt_at'], name='part_due'), models.Index(condition=models.Q(('state', 'sending')), fields=['lease_until'], name='part_leased'), models.Index(condition=models.Q(('sent_at__isnull', False)), fields=['channel', '-sent_at'], name='part_by_channel_sent'), models.Index(condition=models.Q(('state__in', ['queued', 'sending'])), fields=['id'], name='part_line')],
                'constraints': [models.UniqueConstraint(fields=('channel', 'provider_id'), name='part_by_provider_id')],
            },
        ),
        migrations.CreateModel(
            name='DeliveryAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('n', models.PositiveIntegerField()),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('phase', models.CharField(choices=[('connect', 'Connect'), ('committed', 'Committed')], default='connect', max_length=9)),
                ('result', models.CharField(blank=True, default='', max_length=300)),
                ('part', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tries', to='tickets.deliverypart')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('part', 'n'), name='attempt_n')],
            },
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=200)),
                ('request_sha256', models.CharField(max_length=64)),
                ('status', models.PositiveSmallIntegerField(null=True)),
                ('response', models.JSONField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('token', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tickets.apitoken')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('token', 'key'), name='idempotency_key_once')],
            },
        ),
        migrations.CreateModel(
            name='Identity',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=20)),
                ('scope', models.CharField(blank=True, db_default='', default='', max_length=80)),
                ('value', models.CharField(max_length=254)),
                ('verified', models.BooleanField(default=False)),
                ('evidence', models.CharField(blank=True, default='', max_length=60)),
                ('name', models.CharField(blank=True, default='', max_length=200)),
                ('opted_out_at', models.DateTimeField(blank=True, null=True)),
                ('failed_at', models.DateTimeField(blank=True, null=True)),
                ('last_seen_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('pictures', models.BooleanField(db_default=False, default=False)),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='identities', to='tickets.customer')),
            ],
            options={
                'indexes': [models.Index(fields=['kind', 'value', 'scope'], name='identity_by_value'), django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper('value'), name='gin_trgm_ops'), name='identity_value_part')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('verified', True)), fields=('kind', 'scope', 'value'), name='verified_identity_once'), models.UniqueConstraint(fields=('customer', 'kind', 'scope', 'value'), name='identity_once_per_customer')],
            },
        ),
        migrations.CreateModel(
            name='Incident',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=120, verbose_name='title')),
                ('text_en', models.TextField(blank=True, default='')),
                ('text_ko', models.TextField(blank=True, default='')),
                ('shows_banner', models.BooleanField(default=True)),
                ('answers_new', models.BooleanField(default=True)),
                ('opened_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('resolved_at', models.DateTimeField(blank=True, null=True)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='incidents', to='tickets.brand')),
                ('opened_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('resolved_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('resolved_at__isnull', True)), fields=['brand', 'id'], name='incident_open')],
            },
        ),
        migrations.CreateModel(
            name='Macro',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=120, verbose_name='title')),
                ('code', models.CharField(blank=True, default='', max_length=40, verbose_name='short code')),
                ('folder', models.CharField(blank=True, default='', max_length=60, verbose_name='folder')),
                ('scope', models.CharField(choices=[('personal', 'Only me'), ('team', 'My team'), ('shared', 'Everybody')], default='personal', max_length=8, verbose_name='for')),
                ('kind', models.CharField(choices=[('reply', 'Reply'), ('note', 'Internal note')], default='reply', max_length=5)),
                ('text', models.TextField(blank=True, default='', verbose_name='text')),
                ('deeds', models.JSONField(blank=True, default=list)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('updated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('deleted_at', models.DateTimeField(blank=True, null=True)),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.team')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('scope', 'team'), ('team__isnull', False)), models.Q(models.Q(('scope', 'team'), _negated=True), ('team__isnull', True)), _connector='OR'), name='macro_of_a_team_has_one'), models.CheckConstraint(condition=models.Q(('title', ''), _negated=True), name='macro_has_a_title')],
            },
        ),
        migrations.CreateModel(
            name='MacroFile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=255)),
                ('content_type', models.CharField(max_length=120)),
                ('size', models.PositiveBigIntegerField()),
                ('sha256', models.CharField(max_length=64)),
                ('macro', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='files', to='tickets.macro')),
            ],
            options={
                'indexes': [models.Index(fields=['sha256'], name='macro_file_by_hash')],
            },
        ),
        migrations.CreateModel(
            name='SearchEntry',
            fields=[
                ('message', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='+', serialize=False, to='tickets.message')),
                ('words', django.contrib.postgres.search.SearchVectorField()),
            ],
            options={
                'indexes': [django.contrib.postgres.indexes.GinIndex(fields=['words'], gin_pending_list_limit=512, name='search_words')],
            },
        ),
        migrations.AddField(
            model_name='message',
            name='channel',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel'),
        ),
        migrations.AddField(
            model_name='message',
            name='customer',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='tickets.customer'),
        ),
        migrations.AddField(
            model_name='message',
            name='moved_to',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.message'),
        ),
        migrations.CreateModel(
            name='Mention',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('agent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='agents.team')),
                ('message', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='mentions', to='tickets.message')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('agent__isnull', False), ('team__isnull', True)), models.Q(('agent__isnull', True), ('team__isnull', False)), _connector='OR'), name='mention_of_one'), models.UniqueConstraint(fields=('message', 'agent'), name='one_mention_of_an_agent'), models.UniqueConstraint(fields=('message', 'team'), name='one_mention_of_a_team')],
            },
        ),
        migrations.AddField(
            model_name='deliverypart',
            name='message',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='parts', to='tickets.message'),
        ),
        migrations.CreateModel(
            name='Attachment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('visitor_session_id', models.BigIntegerField(null=True)),
                ('kind', models.CharField(default='document', max_length=10)),
                ('name', models.CharField(blank=True, default='', max_length=255)),
                ('content_type', models.CharField(default='application/octet-stream', max_length=120)),
                ('size', models.PositiveBigIntegerField(default=0)),
                ('sha256', models.CharField(blank=True, default='', max_length=64)),
                ('token', models.CharField(default=tickets.models.message.new_token, max_length=64, unique=True)),
                ('inline', models.BooleanField(default=False)),
                ('content_id', models.CharField(blank=True, default='', max_length=300)),
                ('state', models.CharField(choices=[('fetching', 'Fetching'), ('stored', 'Stored'), ('failed', 'Failed')], default='stored', max_length=8)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('next_attempt_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('lease_owner', models.UUIDField(null=True)),
                ('lease_until', models.DateTimeField(null=True)),
                ('last_error', models.CharField(blank=True, default='', max_length=300)),
                ('reference', models.JSONField(blank=True, default=dict)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('uploaded_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('message', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='attachments', to='tickets.message')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'fetching')), fields=['next_attempt_at'], name='attachment_due'), models.Index(condition=models.Q(('sha256', ''), _negated=True), fields=['sha256'], name='attachment_by_hash'), models.Index(condition=models.Q(('message__isnull', True)), fields=['created_at'], name='attachment_unclaimed'), models.Index(condition=models.Q(('state', 'fetching')), fields=['id'], name='attachment_line')],
            },
        ),
        migrations.CreateModel(
            name='MessageTemplate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=512)),
                ('language', models.CharField(max_length=16)),
                ('body', models.TextField()),
                ('places', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=80), blank=True, default=list, size=None)),
                ('named', models.BooleanField(default=False)),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='templates', to='tickets.channel')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('channel', 'name', 'language'), name='one_template_per_language')],
            },
        ),
        migrations.CreateModel(
            name='NotificationChoice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('type', models.CharField(max_length=20)),
                ('in_app', models.BooleanField()),
                ('desktop', models.BooleanField()),
                ('sound', models.BooleanField()),
                ('mail', models.BooleanField()),
                ('push', models.BooleanField(db_default=False)),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notification_choices', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('agent', 'type'), name='one_notification_choice')],
            },
        ),
        migrations.CreateModel(
            name='NotificationHours',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quiet_from', models.TimeField(blank=True, null=True)),
                ('quiet_to', models.TimeField(blank=True, null=True)),
                ('only_when_hidden', models.BooleanField(default=False)),
                ('agent', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='notification_hours', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('quiet_from__isnull', True), ('quiet_to__isnull', True)), models.Q(('quiet_from__isnull', False), ('quiet_to__isnull', False)), _connector='OR'), name='quiet_from_and_to')],
            },
        ),
        migrations.CreateModel(
            name='Opening',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('client_uuid', models.UUIDField(default=uuid.uuid4)),
                ('address', models.CharField(blank=True, default='', max_length=254)),
                ('name', models.CharField(blank=True, default='', max_length=200)),
                ('way', models.CharField(blank=True, default='', max_length=60)),
                ('subject', models.CharField(blank=True, default='', max_length=300)),
                ('text', models.TextField(blank=True, default='')),
                ('attachment_ids', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, default=list, size=None)),
                ('revision', models.PositiveBigIntegerField(default=0)),
                ('updated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('agent', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='opening', to=settings.AUTH_USER_MODEL)),
                ('assignee', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('customer', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.customer')),
                ('team', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='agents.team')),
            ],
        ),
        migrations.CreateModel(
            name='Outbox',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=40)),
                ('shard_key', models.CharField(max_length=120)),
                ('payload', models.JSONField()),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('sending', 'Sending'), ('sent', 'Sent'), ('quarantined', 'Quarantined')], default='queued', max_length=11)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('next_attempt_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('lease_owner', models.UUIDField(null=True)),
                ('lease_until', models.DateTimeField(null=True)),
                ('last_error', models.CharField(blank=True, default='', max_length=300)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('finished_at', models.DateTimeField(null=True)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'queued')), fields=['next_attempt_at'], name='outbox_due'), models.Index(condition=models.Q(('state', 'sending')), fields=['lease_until'], name='outbox_leased'), models.Index(condition=models.Q(('state__in', ['queued', 'sending'])), fields=['shard_key', 'id'], name='outbox_by_shard'), models.Index(condition=models.Q(('state__in', ['queued', 'sending'])), fields=['kind', 'id'], name='outbox_line_of_kind'), models.Index(condition=models.Q(('kind', 'rules'), ('state', 'queued')), fields=['next_attempt_at', 'id'], name='outbox_rules_due'), models.Index(condition=models.Q(('state', 'quarantined')), fields=['shard_key', 'id'], name='outbox_put_aside')],
            },
        ),
        migrations.CreateModel(
            name='PushKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('secrets', tickets.secrets.EncryptedJSONField(default=dict)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('pk', 1)), name='one_push_key')],
            },
        ),
        migrations.CreateModel(
            name='PushSubscription',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('device', models.CharField(max_length=32, unique=True)),
                ('endpoint', models.CharField(max_length=1000, unique=True)),
                ('p256dh', models.CharField(max_length=100)),
                ('secrets', tickets.secrets.EncryptedJSONField(default=dict)),
                ('label', models.CharField(blank=True, default='', max_length=80)),
                ('failures', models.PositiveSmallIntegerField(default=0)),
                ('last_error', models.CharField(blank=True, default='', max_length=200)),
                ('last_success_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='push_subscriptions', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Route',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('remote_thread_id', models.CharField(blank=True, default='', max_length=250)),
                ('reply_address', models.CharField(blank=True, default='', max_length=254)),
                ('cc', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=254), blank=True, default=list, size=None)),
                ('reply_token', models.CharField(blank=True, default='', max_length=40)),
                ('window_expires_at', models.DateTimeField(blank=True, null=True)),
                ('last_used_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('last_inbound_id', models.BigIntegerField(null=True)),
                ('side', models.BooleanField(db_default=False, default=False)),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel')),
                ('identity', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='routes', to='tickets.identity')),
            ],
            options={
                'indexes': [models.Index(fields=['channel', 'identity', '-last_used_at'], name='route_by_identity')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('reply_token', ''), _negated=True), fields=('reply_token',), name='one_route_per_token')],
            },
        ),
        migrations.AddField(
            model_name='message',
            name='route',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='tickets.route'),
        ),
        migrations.CreateModel(
            name='RuleTrial',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rules', models.JSONField()),
                ('tried', models.PositiveIntegerField(null=True)),
                ('total', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('finished_at', models.DateTimeField(null=True)),
                ('failures', models.PositiveSmallIntegerField(db_default=0)),
                ('problem', models.CharField(blank=True, choices=[('database', 'Database'), ('data', 'Data')], db_default='', default='', max_length=8)),
                ('seen_at', models.DateTimeField(null=True)),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('rule', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='trials', to='tickets.rule')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('finished_at__isnull', True)), fields=['id'], name='trial_running')],
            },
        ),
        migrations.CreateModel(
            name='RuleVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('content', models.JSONField()),
                ('restored', models.PositiveIntegerField(null=True)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('rule', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='tickets.rule')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('rule', 'number'), name='one_rule_version_each')],
            },
        ),
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60, verbose_name='name')),
                ('scope', models.CharField(choices=[('personal', 'Only me'), ('team', 'My team'), ('shared', 'Everybody')], default='personal', max_length=8)),
                ('query', models.CharField(blank=True, default='', max_length=500)),
                ('sort', models.CharField(blank=True, default='', max_length=20)),
                ('hue', models.PositiveSmallIntegerField(default=0)),
                ('position', models.PositiveIntegerField(default=0)),
                ('number', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('deleted_at', models.DateTimeField(blank=True, null=True)),
                ('base', models.CharField(default='all', max_length=40)),
                ('hidden', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('channel', 'Channel'), ('subject', 'Subject'), ('snippet', 'Latest words'), ('priority', 'Priority'), ('due', 'Deadline or status'), ('tags', 'Tags'), ('assignee', 'Assignee')], max_length=10), blank=True, default=list, size=None)),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='agents.team')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('scope', 'team'), ('team__isnull', False)), models.Q(models.Q(('scope', 'team'), _negated=True), ('team__isnull', True)), _connector='OR'), name='view_of_a_team_has_one'), models.CheckConstraint(condition=models.Q(('number__isnull', True), ('number__range', (1, 9)), _connector='OR'), name='view_number_1_to_9')],
            },
        ),
        migrations.CreateModel(
            name='Signature',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField(max_length=2000, verbose_name='text')),
                ('agent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('brand', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.brand', verbose_name='brand')),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.team', verbose_name='team')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('agent__isnull', False), ('brand__isnull', True), ('team__isnull', True)), models.Q(('agent__isnull', True), ('brand__isnull', False)), _connector='OR'), name='signature_of_an_agent_or_a_brand'), models.UniqueConstraint(fields=('brand', 'team', 'agent'), name='one_signature_each', nulls_distinct=False), models.CheckConstraint(condition=models.Q(('text', ''), _negated=True), name='signature_has_a_text')],
            },
        ),
        migrations.CreateModel(
            name='SlaPolicy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120, verbose_name='name')),
                ('position', models.PositiveIntegerField(default=0)),
                ('active', models.BooleanField(default=True, verbose_name='switched on')),
                ('conditions', models.JSONField(default=dict)),
                ('warn_percents', django.contrib.postgres.fields.ArrayField(base_field=models.PositiveSmallIntegerField(), default=list, size=None)),
                ('version', models.PositiveIntegerField(default=1)),
                ('pauses_in', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=10), default=list, size=None)),
                ('first_reply_from', models.CharField(choices=[('message', 'the customer’s first message'), ('created', 'the ticket’s creation')], db_default='message', default='message', max_length=7)),
                ('calendar', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.calendar')),
            ],
        ),
        migrations.CreateModel(
            name='SlaClock',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('metric', models.CharField(choices=[('first_reply', 'First reply'), ('next_reply', 'Next reply'), ('periodic_update', 'Periodic update'), ('resolution', 'Resolution'), ('team', 'Team’s turn')], max_length=20)),
                ('cycle', models.PositiveIntegerField(default=1)),
                ('policy_version', models.PositiveIntegerField(default=1)),
                ('calendar_version', models.PositiveBigIntegerField(default=1)),
                ('seconds', models.PositiveIntegerField()),
                ('business', models.BooleanField(default=True)),
                ('started_at', models.DateTimeField()),
                ('due_at', models.DateTimeField()),
                ('state', models.CharField(choices=[('running', 'Running'), ('paused', 'Paused'), ('met', 'Met'), ('cancelled', 'Cancelled')], default='running', max_length=9)),
                ('ended_at', models.DateTimeField(null=True)),
                ('breached_at', models.DateTimeField(null=True)),
                ('version', models.PositiveIntegerField(default=1)),
                ('pauses_in', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=10), default=list, size=None)),
                ('warn_percents', django.contrib.postgres.fields.ArrayField(base_field=models.PositiveSmallIntegerField(), default=list, size=None)),
                ('stands_in', models.BooleanField(db_default=False, default=False)),
                ('calendar', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.calendar')),
                ('carried_by', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='carries', to='tickets.slaclock')),
                ('team', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.team')),
                ('policy', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.slapolicy')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('breached_at__isnull', True), ('state', 'running')), fields=['due_at'], name='clock_due'), models.Index(condition=models.Q(('breached_at__isnull', True), ('business', True), ('state__in', ['running', 'paused'])), fields=['calendar', 'calendar_version'], name='clock_by_calendar'), models.Index(condition=models.Q(('carried_by__isnull', False)), fields=['carried_by'], name='clock_at_rest')],
            },
        ),
        migrations.CreateModel(
            name='SlaPolicyVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('content', models.JSONField()),
                ('restored', models.PositiveIntegerField(null=True)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('policy', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='tickets.slapolicy')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('policy', 'number'), name='one_policy_version_each')],
            },
        ),
        migrations.CreateModel(
            name='SlaSegment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('running', 'running'), ('paused', 'paused'), ('off_hours', 'off_hours')], max_length=9)),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField(null=True)),
                ('clock', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='segments', to='tickets.slaclock')),
            ],
        ),
        migrations.CreateModel(
            name='SlaTarget',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('metric', models.CharField(choices=[('first_reply', 'First reply'), ('next_reply', 'Next reply'), ('periodic_update', 'Periodic update'), ('resolution', 'Resolution')], max_length=20)),
                ('priority', models.PositiveSmallIntegerField()),
                ('seconds', models.PositiveIntegerField()),
                ('business', models.BooleanField(default=True)),
                ('policy', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='targets', to='tickets.slapolicy')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('policy', 'metric', 'priority'), name='one_target_each')],
            },
        ),
        migrations.CreateModel(
            name='SlaTrial',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('policies', models.JSONField()),
                ('tried', models.PositiveIntegerField()),
                ('span', models.CharField(choices=[('last', 'The last 500 tickets'), ('days', 'The last 30 days'), ('month', 'Last month')], max_length=5)),
                ('since', models.DateTimeField(null=True)),
                ('until', models.DateTimeField(null=True)),
                ('before', models.BigIntegerField(default=0)),
                ('total', models.PositiveIntegerField(default=0)),
                ('seen', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('finished_at', models.DateTimeField(null=True)),
                ('failures', models.PositiveSmallIntegerField(db_default=0)),
                ('problem', models.CharField(blank=True, choices=[('database', 'Database'), ('data', 'Data')], db_default='', default='', max_length=8)),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('policy', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='trials', to='tickets.slapolicy')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('finished_at__isnull', True)), fields=['id'], name='sla_trial_running')],
            },
        ),
        migrations.CreateModel(
            name='SlaWarning',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('percent', models.PositiveSmallIntegerField()),
                ('due_at', models.DateTimeField()),
                ('fired_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('clock', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='warnings', to='tickets.slaclock')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('fired_at__isnull', True)), fields=['due_at'], name='warning_due')],
                'constraints': [models.UniqueConstraint(fields=('clock', 'percent'), name='one_warning_per_percent')],
            },
        ),
        migrations.CreateModel(
            name='StaffingTrial',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField()),
                ('people', models.PositiveSmallIntegerField()),
                ('places', models.PositiveSmallIntegerField()),
                ('begins', models.TimeField()),
                ('ends', models.TimeField()),
                ('skill_ids', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('seed', models.PositiveIntegerField(default=0)),
                ('total', models.PositiveIntegerField(default=0)),
                ('done', models.PositiveIntegerField(default=0)),
                ('before', models.JSONField(null=True)),
                ('after', models.JSONField(null=True)),
                ('leased_until', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('finished_at', models.DateTimeField(null=True)),
                ('failures', models.PositiveSmallIntegerField(db_default=0)),
                ('problem', models.CharField(blank=True, choices=[('database', 'Database'), ('data', 'Data')], db_default='', default='', max_length=8)),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='agents.team')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('finished_at__isnull', True)), fields=['id'], name='staffing_running')],
                'constraints': [models.CheckConstraint(condition=models.Q(('until__gt', models.F('since'))), name='staffing_period')],
            },
        ),
        migrations.CreateModel(
            name='Ticket',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.BigIntegerField(unique=True)),
                ('subject', models.CharField(blank=True, default='', max_length=300)),
                ('status', models.CharField(choices=[('new', 'New'), ('open', 'Open'), ('pending', 'Pending'), ('on_hold', 'On hold'), ('solved', 'Solved'), ('closed', 'Closed')], default='new', max_length=7)),
                ('snoozed_until', models.DateTimeField(blank=True, null=True)),
                ('priority', models.PositiveSmallIntegerField(choices=[(1, 'Low'), (2, 'Normal'), (3, 'High'), (4, 'Urgent')], default=2)),
                ('language', models.CharField(blank=True, default='', max_length=5)),
                ('fields', models.JSONField(blank=True, default=dict)),
                ('last_seq', models.PositiveBigIntegerField(default=0)),
                ('routing_due_at', models.DateTimeField(blank=True, null=True)),
                ('waiting_since', models.DateTimeField(blank=True, null=True)),
                ('first_reply_at', models.DateTimeField(blank=True, null=True)),
                ('first_solved_at', models.DateTimeField(blank=True, null=True)),
                ('solved_at', models.DateTimeField(blank=True, null=True)),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('csat', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('trusts_unverified', models.BooleanField(default=False)),
                ('last_message_id', models.BigIntegerField(null=True)),
                ('last_message_at', models.DateTimeField(null=True)),
                ('last_author_id', models.BigIntegerField(null=True)),
                ('last_direction', models.CharField(blank=True, default='', max_length=3)),
                ('snippet', models.CharField(blank=True, default='', max_length=200)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('updated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('next_due_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('accept_until', models.DateTimeField(blank=True, editable=False, null=True)),
                ('assigned_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('ruled_message_id', models.BigIntegerField(editable=False, null=True)),
                ('assignee', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='tickets', to=settings.AUTH_USER_MODEL)),
                ('brand', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tickets', to='tickets.brand')),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tickets', to='tickets.customer')),
                ('first_channel', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel')),
                ('incident', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='tickets', to='tickets.incident')),
                ('last_channel', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel')),
                ('merged_into', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='merged', to='tickets.ticket')),
                ('pinned_note', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.message')),
                ('sla_policy', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.slapolicy')),
                ('solved_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('tags', models.ManyToManyField(blank=True, related_name='tickets', to='tickets.tag')),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='tickets', to='agents.team')),
            ],
            options={
                'indexes': [models.Index(models.OrderBy(models.F('updated_at'), descending=True), models.OrderBy(models.F('id'), descending=True), condition=models.Q(('merged_into__isnull', True), ('status__in', ('new', 'open', 'pending', 'on_hold'))), name='unsolved_latest'), models.Index(models.OrderBy(models.F('updated_at'), descending=True), models.OrderBy(models.F('id'), descending=True), condition=models.Q(('merged_into__isnull', True)), name='all_latest'), models.Index(fields=['customer', '-id'], name='ticket_by_customer'), models.Index(condition=models.Q(('routing_due_at__isnull', False)), fields=['routing_due_at'], name='routing_due'), models.Index(condition=models.Q(('snoozed_until__isnull', False)), fields=['snoozed_until'], name='snoozed_until'), models.Index(condition=models.Q(('status', 'solved')), fields=['solved_at'], name='solved_to_close'), models.Index(fields=['created_at', 'first_channel'], name='ticket_by_created'), models.Index(condition=models.Q(('first_solved_at__isnull', False)), fields=['first_solved_at'], name='ticket_by_solved'), models.Index(condition=models.Q(('merged_into__isnull', False)), fields=['merged_into'], name='ticket_family'), models.Index(django.db.models.functions.comparison.Coalesce(models.F('next_due_at'), models.Value(datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), output_field=models.DateTimeField())), django.db.models.functions.comparison.Coalesce(models.F('waiting_since'), models.Value(datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), output_field=models.DateTimeField())), models.F('id'), condition=models.Q(('merged_into__isnull', True), ('status__in', ('new', 'open', 'pending', 'on_hold'))), name='queue'), models.Index(models.F('assignee'), django.db.models.functions.comparison.Coalesce(models.F('next_due_at'), models.Value(datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), output_field=models.DateTimeField())), django.db.models.functions.comparison.Coalesce(models.F('waiting_since'), models.Value(datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), output_field=models.DateTimeField())), models.F('id'), condition=models.Q(('merged_into__isnull', True), ('status__in', ('new', 'open', 'pending', 'on_hold'))), name='queue_of_assignee'), models.Index(models.F('team'), django.db.models.functions.comparison.Coalesce(models.F('next_due_at'), models.Value(datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), output_field=models.DateTimeField())), django.db.models.functions.comparison.Coalesce(models.F('waiting_since'), models.Value(datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), output_field=models.DateTimeField())), models.F('id'), condition=models.Q(('merged_into__isnull', True), ('status__in', ('new', 'open', 'pending', 'on_hold'))), name='queue_of_team'), models.Index(django.db.models.expressions.CombinedExpression(models.F('priority'), '*', models.Value(-1)), django.db.models.functions.comparison.Coalesce(models.F('next_due_at'), models.Value(datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), output_field=models.DateTimeField())), django.db.models.functions.comparison.Coalesce(models.F('waiting_since'), models.Value(datetime.datetime(9999, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), output_field=models.DateTimeField())), models.F('id'), condition=models.Q(('merged_into__isnull', True), ('status__in', ('new', 'open', 'pending', 'on_hold'))), name='queue_by_priority'), models.Index(condition=models.Q(('accept_until__isnull', False)), fields=['accept_until'], name='offered_until'), django.contrib.postgres.indexes.GinIndex(fields=['fields'], name='ticket_fields', opclasses=['jsonb_path_ops']), django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper('subject'), name='gin_trgm_ops'), condition=models.Q(('subject', ''), _negated=True), name='ticket_subject_part'), models.Index(condition=models.Q(('incident__isnull', False)), fields=['incident', 'status'], name='ticket_of_incident'), models.Index(condition=models.Q(('pinned_note__isnull', False)), fields=['pinned_note'], name='ticket_by_pinned_note')],
                'constraints': [models.CheckConstraint(condition=models.Q(('merged_into', models.F('id')), _negated=True), name='not_merged_into_itself'), models.CheckConstraint(condition=models.Q(('csat__isnull', True), ('csat__range', (1, 5)), _connector='OR'), name='csat_1_to_5'), models.CheckConstraint(condition=models.Q(('priority__range', (1, 4))), name='priority_1_to_4')],
            },
        ),
        migrations.CreateModel(
            name='SlaTrialTicket',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('policy_was', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tickets.slapolicy')),
                ('trial', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='covered', to='tickets.slatrial')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tickets.ticket')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('trial', 'ticket'), name='one_sla_trial_ticket_each')],
            },
        ),
        migrations.CreateModel(
            name='SlaTrialPromise',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('metric', models.CharField(choices=[('first_reply', 'First reply'), ('next_reply', 'Next reply'), ('periodic_update', 'Periodic update'), ('resolution', 'Resolution')], max_length=20)),
                ('started_at', models.DateTimeField()),
                ('covered', models.BooleanField()),
                ('was', models.CharField(blank=True, choices=[('met', 'Met'), ('breached', 'Breached'), ('open', 'Still open')], default='', max_length=8)),
                ('was_due_at', models.DateTimeField(null=True)),
                ('would', models.CharField(blank=True, choices=[('met', 'Met'), ('breached', 'Breached'), ('open', 'Still open')], default='', max_length=8)),
                ('would_due_at', models.DateTimeField(null=True)),
                ('trial', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='promises', to='tickets.slatrial')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(fields=['trial', 'id'], name='sla_trial_promises')],
            },
        ),
        migrations.AddField(
            model_name='slaclock',
            name='ticket',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='clocks', to='tickets.ticket'),
        ),
        migrations.CreateModel(
            name='RuleTrialRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('matched', models.BooleanField(null=True)),
                ('held', django.contrib.postgres.fields.ArrayField(base_field=models.BooleanField(), null=True, size=None)),
                ('priority_was', models.PositiveSmallIntegerField(null=True)),
                ('priority_would', models.PositiveSmallIntegerField(null=True)),
                ('agent_was', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('agent_would', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('team_was', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.team')),
                ('team_would', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.team')),
                ('trial', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='tickets.ruletrial')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(fields=['trial', '-ticket'], name='trial_row_in_order')],
                'constraints': [models.UniqueConstraint(fields=('trial', 'ticket'), name='one_trial_row_each')],
            },
        ),
        migrations.CreateModel(
            name='RuleTimer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('due_at', models.DateTimeField()),
                ('rule', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tickets.rule')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(fields=['due_at'], name='rule_timer_due')],
                'constraints': [models.UniqueConstraint(fields=('rule', 'ticket'), name='one_rule_timer_each')],
            },
        ),
        migrations.CreateModel(
            name='RuleRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('trigger', models.CharField(max_length=20)),
                ('event_id', models.BigIntegerField(null=True)),
                ('since', models.DateTimeField(null=True)),
                ('acted', models.BooleanField(default=False)),
                ('rules', models.JSONField(default=list)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('rule', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tickets.rule')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rule_runs', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(models.F('ticket'), models.OrderBy(models.F('id'), descending=True), name='rule_run_by_ticket'), models.Index(fields=['at'], name='rule_run_by_time')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('event_id__isnull', False)), fields=('event_id',), name='one_rule_run_per_event'), models.UniqueConstraint(condition=models.Q(('since__isnull', False)), fields=('rule', 'ticket', 'since'), name='one_rule_run_per_wait')],
            },
        ),
        migrations.CreateModel(
            name='RuleMatch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('rule', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='matches', to='tickets.rule')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(fields=['rule', 'at'], name='rule_match_by_rule'), models.Index(fields=['at'], name='rule_match_by_time')],
            },
        ),
        migrations.CreateModel(
            name='RoutingDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('trigger', models.CharField(max_length=30)),
                ('rules', models.JSONField(default=list)),
                ('candidates', models.JSONField(default=list)),
                ('outcome', models.CharField(choices=[('assigned', 'Assigned'), ('queued', 'Queued'), ('kept', 'Kept'), ('no_team', 'No Team')], max_length=10)),
                ('tie_breaker', models.CharField(blank=True, default='', max_length=40)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('acted', models.BooleanField(db_default=False, default=False)),
                ('inputs', models.JSONField(null=True)),
                ('agent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.team')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='routing_decisions', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(models.F('ticket'), models.OrderBy(models.F('id'), descending=True), name='decision_by_ticket'), models.Index(condition=models.Q(('outcome', 'assigned')), fields=['agent', 'id'], name='decision_last_given')],
            },
        ),
        migrations.AddField(
            model_name='route',
            name='ticket',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='routes', to='tickets.ticket'),
        ),
        migrations.CreateModel(
            name='ReadMark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message_id', models.BigIntegerField(default=0)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.ticket')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('agent', 'ticket'), name='one_read_mark')],
            },
        ),
        migrations.CreateModel(
            name='NotificationMail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('reply', 'Reply'), ('note', 'Note')], max_length=5)),
                ('seen_message_id', models.BigIntegerField(null=True)),
                ('token', models.CharField(max_length=32, unique=True)),
                ('outbox_id', models.BigIntegerField(unique=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.ticket')),
            ],
        ),
        migrations.CreateModel(
            name='Notification',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event_id', models.BigIntegerField()),
                ('type', models.CharField(max_length=20)),
                ('message_id', models.BigIntegerField(null=True)),
                ('particulars', models.JSONField(default=dict)),
                ('count', models.PositiveIntegerField(default=1)),
                ('folded', models.BooleanField(default=False)),
                ('mail_owed', models.BooleanField(default=False)),
                ('read_at', models.DateTimeField(null=True)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('actor', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='notifications', to=settings.AUTH_USER_MODEL)),
                ('channel', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel')),
                ('ticket', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(models.F('agent'), models.OrderBy(models.F('id'), descending=True), condition=models.Q(('folded', False)), name='notification_list'), models.Index(condition=models.Q(('read_at__isnull', True)), fields=['agent', 'ticket'], name='notification_unread'), models.Index(condition=models.Q(('mail_owed', True)), fields=['agent', 'ticket'], name='notification_mail_owed'), models.Index(fields=['at'], name='notification_by_time')],
                'constraints': [models.UniqueConstraint(fields=('agent', 'event_id'), name='one_notification_per_event')],
            },
        ),
        migrations.AddField(
            model_name='message',
            name='ticket',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='tickets.ticket'),
        ),
        migrations.CreateModel(
            name='MacroUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('client_uuid', models.UUIDField(unique=True)),
                ('message_id', models.BigIntegerField(null=True)),
                ('event_ids', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('undone_at', models.DateTimeField(null=True)),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('macro', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='uses', to='tickets.macro')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(fields=['macro', 'at'], name='macro_use_by_macro'), models.Index(models.F('agent'), models.OrderBy(models.F('at'), descending=True), name='macro_use_by_agent')],
            },
        ),
        migrations.CreateModel(
            name='Follower',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='followers', to='tickets.ticket')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('ticket', 'agent'), name='one_follower_each')],
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=40)),
                ('actor_type', models.CharField(max_length=10)),
                ('message_id', models.BigIntegerField(null=True)),
                ('particulars', models.JSONField(default=dict)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('actor', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('customer', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='tickets.customer')),
                ('ticket', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(fields=['ticket', 'id'], name='event_by_ticket'), models.Index(condition=models.Q(('ticket__isnull', True)), fields=['customer', 'id'], name='event_by_customer'), models.Index(fields=['at', 'id'], name='event_by_time')],
            },
        ),
        migrations.CreateModel(
            name='Draft',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('reply', 'Reply'), ('note', 'Note'), ('side', 'Side')], default='reply', max_length=5)),
                ('client_uuid', models.UUIDField()),
                ('text', models.TextField(blank=True, default='')),
                ('template', models.JSONField(blank=True, null=True)),
                ('attachment_ids', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, default=list, size=None)),
                ('then', models.JSONField(blank=True, default=dict)),
                ('seen_message_id', models.BigIntegerField(null=True)),
                ('revision', models.PositiveBigIntegerField(default=0)),
                ('send_at', models.DateTimeField(blank=True, null=True)),
                ('send_anyway', models.BooleanField(default=False)),
                ('stopped', models.CharField(blank=True, default='', max_length=20)),
                ('updated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('to', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=254), blank=True, null=True, size=None)),
                ('cc', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=254), blank=True, null=True, size=None)),
                ('way', models.CharField(blank=True, db_default='', default='', max_length=41)),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='drafts', to=settings.AUTH_USER_MODEL)),
                ('route', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.route')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='drafts', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('send_at__isnull', False)), fields=['send_at'], name='draft_due')],
                'constraints': [models.UniqueConstraint(fields=('ticket', 'agent', 'kind'), name='one_draft_each')],
            },
        ),
        migrations.AddField(
            model_name='deliverypart',
            name='ticket',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.ticket'),
        ),
        migrations.CreateModel(
            name='BulkRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('done', 'Done'), ('unchanged', 'Unchanged'), ('failed', 'Failed'), ('skipped', 'Skipped')], default='pending', max_length=9)),
                ('error', models.CharField(blank=True, default='', max_length=300)),
                ('event_ids', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('job', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='tickets.bulkjob')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'pending')), fields=['job', 'id'], name='bulk_row_pending'), models.Index(fields=['job', 'state'], name='bulk_row_by_state')],
                'constraints': [models.UniqueConstraint(fields=('job', 'ticket'), name='one_bulk_row_each')],
            },
        ),
        migrations.CreateModel(
            name='AutomaticReply',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('cause', models.CharField(max_length=40)),
                ('kind', models.CharField(blank=True, default='', max_length=24)),
                ('due_at', models.DateTimeField(null=True)),
                ('address', models.CharField(blank=True, default='', max_length=254)),
                ('message_id', models.BigIntegerField(null=True)),
                ('skipped', models.CharField(blank=True, default='', max_length=20)),
                ('settled_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel')),
                ('asked', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.message')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='automatic_replies', to='tickets.ticket')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at', 'id'], name='automatic_reply_due'), models.Index(fields=['channel', '-id'], name='automatic_reply_of_channel'), models.Index(condition=models.Q(('message_id__isnull', False)), fields=['address', '-settled_at'], name='automatic_reply_by_address')],
                'constraints': [models.UniqueConstraint(fields=('ticket', 'cause'), name='one_automatic_reply')],
            },
        ),
        migrations.CreateModel(
            name='TicketField',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=40, unique=True, validators=[django.core.validators.RegexValidator('^[a-z][a-z0-9_]{0,39}$', 'Small letters, digits and underscores, a letter first; 40 characters at most.')], verbose_name='key')),
                ('label', models.CharField(max_length=60, verbose_name='name')),
                ('kind', models.CharField(choices=[('text', 'A line of text'), ('number', 'A number'), ('date', 'A date'), ('yes_no', 'Yes or no'), ('choice', 'One of a list')], default='text', max_length=6, verbose_name='kind')),
                ('choices', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=80), blank=True, default=list, size=None)),
                ('required', models.BooleanField(default=False, verbose_name='a ticket needs it before it is solved')),
                ('active', models.BooleanField(default=True, verbose_name='switched on')),
                ('position', models.PositiveIntegerField(default=0)),
                ('brand', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.brand', verbose_name='brand')),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.team', verbose_name='team')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('choices__len__gt', 0), ('kind', 'choice')), models.Q(models.Q(('kind', 'choice'), _negated=True), ('choices__len', 0)), _connector='OR'), name='field_of_a_list_has_choices'), models.CheckConstraint(condition=models.Q(('key__regex', '^[a-z][a-z0-9_]{0,39}$')), name='field_key_is_plain'), models.CheckConstraint(condition=models.Q(('label', ''), _negated=True), name='field_has_a_label')],
            },
        ),
        migrations.CreateModel(
            name='TicketLink',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('follow_up_of', 'follow-up of'), ('token_of', 'written with the reply address of'), ('related', 'related to')], max_length=12)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('other', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='linked_from', to='tickets.ticket')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='links', to='tickets.ticket')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('ticket', 'other', 'kind'), name='one_link_each')],
            },
        ),
        migrations.CreateModel(
            name='TicketSkill',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('level', models.PositiveSmallIntegerField(default=1)),
                ('required', models.BooleanField(default=True)),
                ('wished_from', models.DateTimeField(null=True)),
                ('skill', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.skill')),
                ('ticket', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='skills', to='tickets.ticket')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('ticket', 'skill'), name='one_need_per_skill')],
            },
        ),
        migrations.AddField(
            model_name='searchentry',
            name='ticket',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='tickets.ticket'),
        ),
        migrations.AddConstraint(
            model_name='slaclock',
            constraint=models.UniqueConstraint(fields=('ticket', 'metric', 'cycle'), name='one_clock_per_cycle'),
        ),
        migrations.AddConstraint(
            model_name='slaclock',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['running', 'paused'])), fields=('ticket', 'metric'), name='one_live_clock'),
        ),
        migrations.AddConstraint(
            model_name='route',
            constraint=models.UniqueConstraint(fields=('ticket', 'channel', 'identity'), name='one_route_each'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('external_id', ''), _negated=True), fields=['channel', 'external_id'], name='message_by_external_id'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(condition=models.Q(('customer__isnull', False)), fields=['customer', '-id'], name='message_by_customer'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.UniqueConstraint(fields=('ticket', 'seq'), name='message_seq'),
        ),
        migrations.AddConstraint(
            model_name='message',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', 'note'), _negated=True), models.Q(('channel__isnull', True), ('route__isnull', True)), _connector='OR'), name='note_has_no_channel'),
        ),
        migrations.AddIndex(
            model_name='deliverypart',
            index=models.Index(condition=models.Q(('state__in', ['queued', 'sending'])), fields=['ticket', 'channel', 'id'], name='part_in_order'),
        ),
        migrations.AddConstraint(
            model_name='deliverypart',
            constraint=models.UniqueConstraint(fields=('message', 'n'), name='part_n'),
        ),
        migrations.RunSQL(NUMBERS, "DROP SEQUENCE ticket_number"),
        migrations.RunSQL(NEXT_DUE, NO_NEXT_DUE),
        migrations.RunSQL(LEXEMES + QUERIES + ENTRIES + TRIGGERS, GONE),
    ]
