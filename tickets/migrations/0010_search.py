import django.contrib.postgres.indexes
import django.contrib.postgres.operations
import django.contrib.postgres.search
import django.db.models.deletion
import django.db.models.functions
from django.db import migrations, models

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
# is also found by its last eight and its last four digits, as people ask for it.
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
               m.subject, m.author_name, m.author_address, m.text)), '{}')
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

# What was written before the index was: in slices, each with a plan of its own.
BACKFILL = r"""
DO $$
DECLARE low bigint := 0; high bigint := (SELECT coalesce(max(id), 0) FROM tickets_message);
BEGIN
    WHILE low <= high LOOP
        PERFORM search_index(ARRAY(SELECT id FROM tickets_message WHERE id > low AND id <= low + 2000));
        low := low + 2000;
    END LOOP;
END $$;
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
    """The index of words: one row for each message, kept true by the database."""

    dependencies = [("tickets", "0009_skills_and_offers")]

    operations = [
        django.contrib.postgres.operations.TrigramExtension(),
        migrations.CreateModel(
            name="SearchEntry",
            fields=[
                (
                    "message",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="tickets.message",
                    ),
                ),
                (
                    "ticket",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tickets.ticket",
                    ),
                ),
                ("words", django.contrib.postgres.search.SearchVectorField()),
            ],
            options={
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["words"], gin_pending_list_limit=512, name="search_words"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["fields"], name="ticket_fields", opclasses=["jsonb_path_ops"]
            ),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(django.db.models.functions.Upper("name"), name="gin_trgm_ops"),
                name="customer_name_part",
            ),
        ),
        migrations.AddIndex(
            model_name="identity",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(django.db.models.functions.Upper("value"), name="gin_trgm_ops"),
                name="identity_value_part",
            ),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.Upper("subject"), name="gin_trgm_ops"
                ),
                condition=models.Q(("subject", ""), _negated=True),
                name="ticket_subject_part",
            ),
        ),
        migrations.RunSQL(sql=LEXEMES + QUERIES + ENTRIES + TRIGGERS + BACKFILL, reverse_sql=GONE),
    ]
