import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='Calendar',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('time_zone', models.CharField(default='Asia/Seoul', max_length=64, verbose_name='time zone')),
                ('holiday_country', models.CharField(blank=True, default='', max_length=2, verbose_name='holidays of')),
                ('version', models.PositiveBigIntegerField(default=1)),
                ('is_default', models.BooleanField(default=False)),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('is_default', True)), fields=('is_default',), name='one_default_calendar')],
            },
        ),
        migrations.CreateModel(
            name='Team',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80, unique=True, verbose_name='name')),
                ('hue', models.PositiveSmallIntegerField(default=0)),
                ('position', models.PositiveIntegerField(default=0)),
                ('calendar', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.calendar')),
            ],
        ),
        migrations.CreateModel(
            name='Agent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                ('email', models.EmailField(max_length=254, unique=True, verbose_name='e-mail')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('role', models.CharField(choices=[('owner', 'Owner'), ('admin', 'Admin'), ('manager', 'Manager'), ('agent', 'Agent'), ('light', 'Light agent')], default='agent', max_length=10, verbose_name='role')),
                ('sight', models.CharField(choices=[('all', 'All tickets'), ('teams', 'Tickets of their teams and their own'), ('own', 'Only their own tickets')], default='all', max_length=5, verbose_name='sees')),
                ('brand_ids', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, null=True, size=None)),
                ('is_active', models.BooleanField(default=True, verbose_name='active')),
                ('is_staff', models.BooleanField(default=False)),
                ('is_bot', models.BooleanField(default=False)),
                ('capacity', models.PositiveSmallIntegerField(default=5, verbose_name='tickets at once')),
                ('presence', models.CharField(choices=[('online', 'Online'), ('away', 'Away'), ('busy', 'Busy'), ('offline', 'Offline')], default='offline', max_length=7)),
                ('presence_since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('seen_at', models.DateTimeField(blank=True, null=True)),
                ('language', models.CharField(choices=[('en', 'English'), ('ko', '한국어')], default='en', max_length=2, verbose_name='language')),
                ('time_zone', models.CharField(default='Asia/Seoul', max_length=64, verbose_name='time zone')),
                ('theme', models.CharField(choices=[('system', 'System'), ('light', 'Light'), ('dark', 'Dark')], default='system', max_length=6)),
                ('density', models.CharField(choices=[('comfortable', 'Comfortable'), ('compact', 'Compact')], default='comfortable', max_length=11)),
                ('send_key', models.CharField(choices=[('enter', 'Enter'), ('cmd_enter', 'Ctrl/⌘ Enter')], default='enter', max_length=9)),
                ('shortcuts_on', models.BooleanField(default=True)),
                ('panes', models.JSONField(blank=True, default=dict)),
                ('date_joined', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
            ],
            options={
                'constraints': [models.UniqueConstraint(django.db.models.functions.text.Lower('email'), name='one_agent_per_email')],
            },
        ),
        migrations.CreateModel(
            name='Membership',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('agent', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='agents.team')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('agent', 'team'), name='one_membership')],
            },
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('kind', models.CharField(max_length=60)),
                ('brand_id', models.BigIntegerField(null=True)),
                ('object_type', models.CharField(blank=True, default='', max_length=60)),
                ('object_id', models.BigIntegerField(null=True)),
                ('facts', models.JSONField(default=dict)),
                ('personal', models.JSONField(null=True)),
                ('prev_hash', models.CharField(max_length=64, null=True)),
                ('hash', models.CharField(max_length=64, null=True)),
                ('actor', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'indexes': [models.Index(models.OrderBy(models.F('at'), descending=True), name='audit_by_time')],
            },
        ),
        migrations.CreateModel(
            name='CalendarClosing',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('date', models.DateField()),
                ('name', models.CharField(blank=True, default='', max_length=80)),
                ('calendar', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='closings', to='agents.calendar')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('calendar', 'date'), name='one_closing_per_day')],
            },
        ),
        migrations.CreateModel(
            name='CalendarWindow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('weekday', models.PositiveSmallIntegerField()),
                ('opens', models.TimeField()),
                ('closes', models.TimeField()),
                ('calendar', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='windows', to='agents.calendar')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('weekday__lte', 6)), name='weekday_0_to_6'), models.CheckConstraint(condition=models.Q(('closes__gt', models.F('opens')), ('closes', '00:00'), _connector='OR'), name='window_opens_before_it_closes'), models.UniqueConstraint(fields=('calendar', 'weekday', 'opens'), name='one_window_per_opening')],
            },
        ),
        migrations.AddField(
            model_name='Agent',
            name='teams',
            field=models.ManyToManyField(related_name='agents', through='agents.Membership', to='agents.team'),
        ),
    ]
