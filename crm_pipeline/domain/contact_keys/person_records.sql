-- The person records of all services in one shape, values as entered.
-- reads: scl_member, teetime_player, messaging_contact, crm_lead (valid rows)
-- creates: entered_records
-- A member is active from active_from until active_until; null means never, and for good.
select tenant_id, 'SCL' as service, cast(id as varchar) as service_record_id, auth_user_id, email as entered_email,
    phone_number as entered_phone, first_name, last_name, created_at, updated_at,
    case when membership_status in ('ACTIVE', 'OVERDUE', 'SUSPENDED')
        or (membership_status = 'RESIGNED' and ended_at is not null) then joined_at end as active_from,
    case when membership_status = 'RESIGNED' then ended_at end as active_until, _row_hash
from scl_member
union all
select tenant_id, 'TEETIME', id, auth_user_id, email, phone_number, first_name, last_name, created_at, updated_at,
    null, null, _row_hash
from teetime_player
union all
select tenant_id, 'MESSAGING', id, auth_user_id, email, phone_number, first_name, last_name, created_at, updated_at,
    null, null, _row_hash
from messaging_contact
union all
select tenant_id, 'CRM', id, auth_user_id, email, phone_number, first_name, last_name, created_at, updated_at,
    null, null, _row_hash
from crm_lead
