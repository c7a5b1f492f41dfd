"""The emulated hardware, the hypervisor on it, and labs made of both."""
