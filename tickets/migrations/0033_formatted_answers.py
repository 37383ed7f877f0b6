from django.db import migrations, models

# A word that an agent's marks divide ("re**fund**") is found whole as well.
INDEX = r"""
CREATE OR REPLACE FUNCTION search_index(messages bigint[]) RETURNS void LANGUAGE sql AS $$
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
BEFORE = r"""
CREATE OR REPLACE FUNCTION search_index(messages bigint[]) RETURNS void LANGUAGE sql AS $$
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


class Migration(migrations.Migration):
    dependencies = [("tickets", "0032_clocks_of_merged_tickets")]

    operations = [
        migrations.AddField(
            model_name="deliverypart",
            name="html",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.RunSQL(sql=INDEX, reverse_sql=BEFORE),
    ]
