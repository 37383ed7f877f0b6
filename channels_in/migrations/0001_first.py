import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('tickets', '0001_squashed_0046_webhook_answered'),
    ]

    operations = [
        migrations.CreateModel(
            name='FakeRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('provider', models.CharField(max_length=20)),
                ('account', models.CharField(blank=True, default='', max_length=200)),
                ('kind', models.CharField(max_length=40)),
                ('key', models.CharField(blank=True, default='', max_length=300)),
                ('payload', models.JSONField(default=dict)),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'indexes': [models.Index(fields=['provider', 'account', '-id'], name='fake_by_account'), models.Index(fields=['provider', 'key'], name='fake_by_key')],
            },
        ),
        migrations.CreateModel(
            name='IntakeDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('outcome', models.CharField(max_length=11)),
                ('n', models.PositiveBigIntegerField()),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('day', 'channel', 'outcome'), name='intake_day_once')],
            },
        ),
        migrations.CreateModel(
            name='MailboxCursor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('folder', models.CharField(default='INBOX', max_length=200)),
                ('uidvalidity', models.BigIntegerField(null=True)),
                ('last_uid', models.BigIntegerField(default=0)),
                ('polled_at', models.DateTimeField(null=True)),
                ('last_error', models.CharField(blank=True, default='', max_length=300)),
                ('failing_since', models.DateTimeField(null=True)),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tickets.channel')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('channel', 'folder'), name='one_cursor_per_folder')],
            },
        ),
        migrations.CreateModel(
            name='RawEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('dedupe_key', models.CharField(max_length=400)),
                ('ordering_key', models.CharField(db_default='', default='', max_length=300)),
                ('raw_sha256', models.CharField(max_length=64)),
                ('body_sha256', models.CharField(max_length=64)),
                ('raw', models.BinaryField(null=True)),
                ('raw_path', models.CharField(max_length=100, null=True)),
                ('headers', models.JSONField(default=dict)),
                ('remote_ip', models.GenericIPAddressField(null=True)),
                ('auth_result', models.CharField(blank=True, default='', max_length=40)),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('state', models.CharField(choices=[('new', 'New'), ('processing', 'Processing'), ('done', 'Done'), ('quarantined', 'Quarantined')], default='new', max_length=11)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('next_attempt_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('lease_owner', models.UUIDField(null=True)),
                ('lease_until', models.DateTimeField(null=True)),
                ('last_error', models.CharField(blank=True, default='', max_length=1000)),
                ('outcome', models.CharField(choices=[('ticketed', 'Ticketed'), ('receipt', 'Receipt'), ('applied', 'Applied'), ('duplicate', 'Duplicate'), ('suppressed', 'Suppressed'), ('quarantined', 'Quarantined')], max_length=11, null=True)),
                ('outcome_reason', models.CharField(blank=True, default='', max_length=100)),
                ('message_id', models.BigIntegerField(null=True)),
                ('stub_message_id', models.BigIntegerField(null=True)),
                ('flagged', models.BooleanField(default=False)),
                ('finished_at', models.DateTimeField(null=True)),
                ('stripped_at', models.DateTimeField(null=True)),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'new')), fields=['next_attempt_at'], name='rawevent_due'), models.Index(condition=models.Q(('state', 'processing')), fields=['lease_until'], name='rawevent_leased'), models.Index(condition=models.Q(('state__in', ['new', 'processing']), models.Q(('ordering_key', ''), _negated=True)), fields=['channel', 'ordering_key', 'id'], name='rawevent_in_order'), models.Index(condition=models.Q(('state', 'quarantined')), fields=['state', '-id'], name='rawevent_quarantine'), models.Index(condition=models.Q(('message_id__isnull', False)), fields=['message_id'], name='rawevent_by_message'), models.Index(fields=['channel', '-received_at'], name='rawevent_by_channel')],
                'constraints': [models.UniqueConstraint(fields=('channel', 'dedupe_key'), name='rawevent_once'), models.CheckConstraint(condition=models.Q(models.Q(('outcome__isnull', True), ('state__in', ['new', 'processing'])), models.Q(('outcome__isnull', False), ('state__in', ['done', 'quarantined'])), _connector='OR'), name='rawevent_outcome_when_done'), models.CheckConstraint(condition=models.Q(models.Q(('outcome', 'quarantined'), ('state', 'quarantined')), models.Q(models.Q(('state', 'quarantined'), _negated=True), models.Q(('outcome__isnull', True), models.Q(('outcome', 'quarantined'), _negated=True), _connector='OR')), _connector='OR'), name='rawevent_quarantined_both')],
            },
        ),
        migrations.CreateModel(
            name='SignatureFailure',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('n', models.PositiveBigIntegerField(default=0)),
                ('last_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('last_reason', models.CharField(blank=True, default='', max_length=100)),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('channel', 'day'), name='signature_failure_day')],
            },
        ),
        migrations.CreateModel(
            name='VisitorSession',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(unique=True)),
                ('subject', models.CharField(blank=True, default='', max_length=200)),
                ('signed_until', models.DateTimeField(null=True)),
                ('identity_key_id', models.CharField(blank=True, default='', max_length=40)),
                ('name', models.CharField(blank=True, default='', max_length=200)),
                ('email_claim', models.CharField(blank=True, default='', max_length=254)),
                ('renewal_sha256', models.CharField(max_length=64)),
                ('former_renewal_sha256', models.CharField(blank=True, default='', max_length=64)),
                ('renewed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('language', models.CharField(blank=True, default='', max_length=5)),
                ('page', models.CharField(blank=True, default='', max_length=500)),
                ('remote_ip', models.GenericIPAddressField(null=True)),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ended_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('channel', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.channel')),
                ('customer', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tickets.customer')),
            ],
            options={
                'indexes': [models.Index(fields=['customer'], name='session_by_customer'), models.Index(fields=['renewal_sha256'], name='session_by_renewal'), models.Index(fields=['channel', '-seen_at'], name='session_by_seen')],
            },
        ),
    ]
