-- Returns the person records of all services in one shape, values as entered.
-- Reads: scl_member, teetime_player, messaging_contact, crm_lead (valid rows).
select tenant_id, 'SCL' as service, cast(id as varchar) as record_id, auth_user_id, email as entered_email,
    phone_number as entered_phone, first_name, last_name, created_at, updated_at,
    joined_at <= as_of() and (membership_status in ('ACTIVE', 'OVERDUE', 'SUSPENDED')
        or (membership_status = 'RESIGNED' and coalesce(ended_at > as_of(), false))) as is_active
from scl_member
union all
select tenant_id, 'TEETIME', id, auth_user_id, email, phone_number, first_name, last_name, created_at, updated_at,
    false
from teetime_player
union all
select tenant_id, 'MESSAGING', id, auth_user_id, email, phone_number, first_name, last_name, created_at, updated_at,
    false
from messaging_contact
union all
select tenant_id, 'CRM', id, auth_user_id, email, phone_number, first_name, last_name, created_at, updated_at,
    false
from crm_lead
