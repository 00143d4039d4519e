"""The MQTT face of the house: the link to the broker, the topics, the commands, the embedded broker."""
