package resources

import (
	"context"
	"strings"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/resource/meta"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"talos-migrate.invalid/machine/internal/identity"
)

// readable refuses what Talos' own API refuses: every write, unknown types and namespaces, and sensitive
// resources to whoever is not os:admin.
func readable(resources state.State) state.FilteringRule {
	return func(ctx context.Context, access state.Access) error {
		if !access.Verb.Readonly() {
			return status.Error(codes.PermissionDenied, "resources cannot be written through the API")
		}

		definition, err := safe.StateGet[*meta.ResourceDefinition](ctx, resources, resource.NewMetadata(
			meta.NamespaceName, meta.ResourceDefinitionType, strings.ToLower(access.ResourceType), resource.VersionUndefined))
		if state.IsNotFoundError(err) {
			return status.Errorf(codes.PermissionDenied, "resource type %q is not supported", access.ResourceType)
		}

		if err != nil {
			return err
		}

		if definition.TypedSpec().Sensitivity != meta.NonSensitive && !identity.ContextRoles(ctx).Includes(role.Admin) {
			return status.Error(codes.PermissionDenied, "not authorized")
		}

		_, err = resources.Get(ctx, resource.NewMetadata(
			meta.NamespaceName, meta.NamespaceType, access.ResourceNamespace, resource.VersionUndefined))
		if state.IsNotFoundError(err) {
			return status.Errorf(codes.PermissionDenied, "namespace %q is not supported", access.ResourceNamespace)
		}

		return err
	}
}
