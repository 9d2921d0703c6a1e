DELETE FROM settings WHERE name = 'compatible_since';
